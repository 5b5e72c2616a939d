"""The command `promerge generate`."""

from __future__ import annotations

import glob
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.console import Console
from tqdm import tqdm

from promerge_core import Summary, load_backbone
from promerge_core.coco import CocoRun, ImageEntry, RunError, coco_images, find_images
from promerge_core.methods import build_generator, method_config

from .options import backbone_options, method_options, method_parameters
from .report import print_summary

if TYPE_CHECKING:
    import fiftyone as fo

console = Console()


@click.command()
@click.argument("source")
@click.option("--dataset", help="FiftyOne dataset to write to; by default named as the folder.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="COCO json to write; without --dataset, no FiftyOne dataset is made.",
)
@click.option(
    "--images-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the images of a COCO json lie; by default beside it.",
)
@click.option("--field", help="Field of the dataset; by default named as the method.")
@click.option(
    "--masks-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write masks as PNG files there instead of into the database.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    default=8,
    show_default=True,
    help="Images in a batch of the backbone.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=1,
    show_default=True,
    help="Processes that read images.",
)
@click.option("--overwrite", is_flag=True, help="Do everything anew; else an earlier run goes on.")
@backbone_options(default="dino_vitb8")
@method_options
@click.pass_context
def generate(context: click.Context, source: str, output: Path | None, **flags: Any) -> None:
    """Make masks for SOURCE: a folder, a glob, a COCO json or a FiftyOne dataset.

    The masks go into a FiftyOne dataset, into a COCO json, or into both. A run that was stopped
    goes on where it was when the same command is given again.
    """
    parameters = method_parameters(context)
    entries, default_name = _entries(source, flags["images_dir"])
    if entries is not None and output is not None and flags["dataset"] is None:
        summary = _generate_json(entries, output, flags, parameters)
    else:
        summary = _generate_dataset(
            entries, flags["dataset"] or default_name, output, flags, parameters
        )
    print_summary(summary, console)
    if summary.skipped and not summary.images:
        raise RunError(f"none of the {len(summary.skipped)} images could be read")


def _entries(source: str, images_dir: Path | None) -> tuple[list[ImageEntry] | None, str]:
    """The images that a source names, or None for a FiftyOne dataset; and a name for a dataset."""
    path = Path(source)
    if path.is_dir():
        return find_images(path), path.resolve().name
    if path.is_file() and path.suffix.lower() == ".json":
        return coco_images(path, images_dir or path.parent), path.stem
    if path.is_file():
        return [ImageEntry(1, path.name, path)], path.stem
    if glob.has_magic(source):
        # Path.glob takes no absolute patterns.
        found = [Path(name) for name in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207
        files = [name for name in found if name.is_file()]
        if not files:
            raise RunError(f"no file matches {source}")
        root = Path(os.path.commonpath([name.parent for name in files]))
        return [
            ImageEntry(number, name.relative_to(root).as_posix(), name)
            for number, name in enumerate(files, start=1)
        ], root.resolve().name
    import fiftyone as fo

    if not fo.dataset_exists(source):
        raise RunError(f"there is no folder, file, glob match or FiftyOne dataset {source!r}")
    return None, source


def _generate_json(
    entries: list[ImageEntry], output: Path, flags: dict[str, Any], parameters: dict[str, Any]
) -> Summary:
    config = method_config(flags["method"], parameters)
    if not output.parent.is_dir():
        raise RunError(f"there is no folder {output.parent} to write {output.name} into")
    backbone = load_backbone(flags["backbone"], flags["device"], flags["dtype"], flags["weights"])
    settings = {
        "method": flags["method"],
        "backbone": flags["backbone"],
        "weights": _file_digest(flags["weights"]),
        "dtype": flags["dtype"],
        "device": backbone.device.type,
    }
    generator = build_generator(flags["method"], backbone, config)
    run = CocoRun(generator, entries, output, settings, flags["batch_size"])
    if flags["overwrite"]:
        run.discard()
    if run.is_complete():
        console.print(f"{output} is complete already; --overwrite makes it anew", highlight=False)
        return run.read_summary()
    with tqdm(total=len(entries), unit="image") as bar:
        summary = run.run(flags["workers"], bar.update)
    console.print(f"Masks are in {output}", highlight=False)
    return summary


def _file_digest(path: str | None) -> str | None:
    if path is None:
        return None
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _generate_dataset(
    entries: list[ImageEntry] | None,
    name: str,
    output: Path | None,
    flags: dict[str, Any],
    parameters: dict[str, Any],
) -> Summary:
    from .coco import export_coco
    from .generation import check_field_name, generate_masks
    from .model import load_model

    field = flags["field"] or flags["method"]
    check_field_name(field)
    model = load_model(
        flags["backbone"],
        flags["method"],
        weights=flags["weights"],
        device=flags["device"],
        dtype=flags["dtype"],
        **parameters,
    )
    dataset = _open_dataset(name, entries, is_default=flags["dataset"] is None)
    summary = generate_masks(
        dataset,
        model,
        field,
        batch_size=flags["batch_size"],
        num_workers=flags["workers"],
        overwrite=flags["overwrite"],
        masks_dir=flags["masks_dir"],
    )
    already = len(dataset) - summary.images - len(summary.skipped)
    if already:
        console.print(f"{already} images had masks already; --overwrite makes them anew")
    console.print(f"Masks are in the field {field} of the FiftyOne dataset {name}")
    if output is not None:
        done = dataset.exists(field)
        done.compute_metadata()
        export_coco(done, field, output)
        console.print(f"and in {output}", highlight=False)
    return summary


def _open_dataset(name: str, entries: list[ImageEntry] | None, is_default: bool) -> fo.Dataset:
    """The dataset of that name, with a sample for each entry."""
    import fiftyone as fo

    if fo.dataset_exists(name):
        dataset = fo.load_dataset(name)
    else:
        dataset = fo.Dataset(name, persistent=True)
    if entries is None:
        return dataset
    wanted = {str(entry.path.resolve()): entry.id for entry in entries}
    present = set(dataset.values("filepath"))
    if is_default and not present <= set(wanted):
        raise RunError(
            f"there is a FiftyOne dataset {name!r} already, with other images; "
            f"name the one to write to with --dataset"
        )
    dataset.add_samples(
        fo.Sample(filepath=path, coco_id=number)
        for path, number in wanted.items()
        if path not in present
    )
    return dataset
