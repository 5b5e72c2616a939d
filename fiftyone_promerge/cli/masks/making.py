"""Masks into a COCO json, a FiftyOne dataset or both, whatever makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import rich_click as click
from tqdm import tqdm

from fiftyone_promerge.cli.datasets import Images, find_images_for_dataset, old_or_new_dataset
from fiftyone_promerge.cli.report import console
from promerge_core.options import MaskOptions
from promerge_core.runs.sources import ImageEntry, RunError, none_readable

from .sources import Source

if TYPE_CHECKING:
    import fiftyone as fo

    from fiftyone_promerge.models.mask_model import MaskModel
    from promerge_core import Summary
    from promerge_core.generator import MaskMaker

Command = TypeVar("Command", bound=Callable[..., Any])

FILES = "Input and output"
"""Heading in the help of the flags that say what is read and written."""

_PLACES = (
    click.option(
        "--dataset",
        panel=FILES,
        help="FiftyOne dataset to write to; by default named as the folder.",
    ),
    click.option(
        "--images-dir",
        panel=FILES,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Where the images of a COCO json lie; by default beside it.",
    ),
    click.option(
        "--masks-dir",
        panel=FILES,
        type=click.Path(file_okay=False, path_type=Path),
        help="Write masks as PNG files there instead of into the database.",
    ),
)


def place_options(command: Command) -> Command:
    """Adds the flags that say where images lie and where their masks go, but for `--output`."""
    for option in reversed(_PLACES):
        command = option(command)
    return command


class Maker(Protocol):
    """What makes the masks of a command, loaded when it is needed."""

    def generator(self) -> tuple[MaskMaker, dict[str, Any]]:
        """What makes them without FiftyOne, and what decides them, for the header of a json."""

    def model(self) -> MaskModel:
        """What makes them for a dataset."""


def make_masks(
    source: Source, field: str, output: str | None, flags: dict[str, Any], maker: Maker
) -> Summary:
    """Makes the masks of what a user named; a run that was stopped continues.

    Args:
        source: the images.
        field: of a dataset, to write to.
        output: COCO json to write; without the flag `dataset`, images of files get no dataset.
        flags: those of `place_options` and of `MaskOptions`.
        maker: makes the masks.

    Returns:
        what was done.

    Raises:
        PromergeError: they cannot be made or written; what was done is kept.
    """
    options = MaskOptions.pick(flags)
    if source.entries is not None and output is not None and flags["dataset"] is None:
        return _make_json(source.entries, Path(output), options, maker)
    return _make_dataset(source, field, output, flags, options, maker)


def _make_json(
    entries: list[ImageEntry], output: Path, options: MaskOptions, maker: Maker
) -> Summary:
    from promerge_core.runs.local_run import CocoRun
    from promerge_core.runs.outputs import check_output

    if options.embeddings:
        raise RunError("a COCO json holds no vectors; write to a dataset, with --dataset")
    check_output(output, options.overwrite)
    generator, settings = maker.generator()
    deciding = options.deciding()
    batch_size = deciding.pop("batch_size")
    run = CocoRun(generator, entries, output, {**settings, **deciding}, batch_size)
    if options.overwrite:
        run.discard()
    if run.is_complete():
        console.print(f"{output} is complete already; --overwrite makes it again")
        return run.read_summary()
    with tqdm(total=len(entries), unit="image") as bar:
        summary = run.run(options.num_workers, bar.update)
    console.print(f"Masks are in {output}")
    return summary


def _make_dataset(
    source: Source,
    field: str,
    output: str | None,
    flags: dict[str, Any],
    options: MaskOptions,
    maker: Maker,
) -> Summary:
    from fiftyone_promerge.coco.exporting import export_coco
    from fiftyone_promerge.fields import check_field_name
    from promerge_core.runs.outputs import check_output

    name = flags["dataset"] or source.name
    if source.entries is None and name != source.name:
        raise RunError(f"{source.name} is a FiftyOne dataset itself: leave out --dataset {name}")
    check_field_name(field)
    if output is not None:
        check_output(Path(output), options.overwrite, {"dataset": name, "field": field})
    images = None if source.entries is None else find_images_for_dataset(source.entries)
    model = maker.model()
    with old_or_new_dataset(name, field) as dataset:
        if images is not None:
            _add_images(dataset, field, images, is_default=flags["dataset"] is None)
        summary = _fill(dataset, field, model, flags["masks_dir"], options)
    if images is not None:
        summary.skipped = images.skipped + summary.skipped
    console.print(f"Masks are in the field {field} of the FiftyOne dataset {name}")
    if output is not None:
        export_coco(dataset.exists(field), field, output, overwrite=options.overwrite)
        console.print(f"and in {output}")
    return summary


def _add_images(dataset: fo.Dataset, field: str, images: Images, is_default: bool) -> None:
    """Adds a sample for each image that the dataset does not have yet."""
    import fiftyone as fo

    from fiftyone_promerge.fields import check_images, check_label_field
    from fiftyone_promerge.provenance import check_made_here

    check_images(dataset)
    check_label_field(dataset, field)
    check_made_here(dataset, field)
    present = set(dataset.values("filepath"))
    if is_default and not present <= set(images.ids):
        raise RunError(
            f"there is a FiftyOne dataset {dataset.name!r} already, with other images; "
            f"name the one to write to with --dataset"
        )
    dataset.add_samples(
        fo.Sample(filepath=path, coco_id=number)
        for path, number in images.ids.items()
        if path not in present
    )


def _fill(
    dataset: fo.Dataset, field: str, model: MaskModel, masks_dir: Path | None, options: MaskOptions
) -> Summary:
    """Makes the masks; RunError where not one image can be read."""
    from fiftyone_promerge.app.colours import colour_by_instance
    from fiftyone_promerge.app.targets import count_target, work_ahead
    from fiftyone_promerge.fields import count_samples
    from fiftyone_promerge.generation.generate import generate_masks
    from fiftyone_promerge.grouping.embedding import vector_size
    from fiftyone_promerge.models.promerge import ProMergeModel

    target = count_target(dataset, field)
    console.print(work_ahead(target, overwrite=options.overwrite))
    if options.embeddings and isinstance(model, ProMergeModel):
        dim, size = vector_size(model.generator.backbone)
        console.print(f"each mask gets a vector of {dim} numbers, {size} bytes in the database")
    colour_by_instance(dataset)
    summary = generate_masks(dataset, model, field, masks_dir=masks_dir, **options.to_dict())
    already = count_samples(dataset) - summary.images - len(summary.skipped)
    if summary.skipped and not summary.images and not already:
        raise none_readable(summary.skipped)
    if already:
        console.print(f"{already} images had masks already; --overwrite makes them again")
    return summary
