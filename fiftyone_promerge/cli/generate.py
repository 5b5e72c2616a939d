"""The command `promerge generate`."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from tqdm import tqdm

from promerge_core.options import BackboneOptions, RayOptions, RunOptions
from promerge_core.registry import METHODS, method_config
from promerge_core.runs.sources import ImageEntry, RunError, is_url, none_readable

from .datasets import Images, find_images_for_dataset, old_or_new_dataset
from .options import declared_options, flag, is_given, method_options, method_parameters
from .report import console, print_summary
from .sources import Source, find_source

if TYPE_CHECKING:
    import fiftyone as fo

    from fiftyone_promerge.models.mask_model import MaskModel
    from promerge_core import RefinementConfig, Summary


# What only one of the engines takes.
_ENGINE_FLAGS = {
    "local": ["dataset", "field", "masks_dir", "num_workers", "device"],
    "ray": [one.name for one in RayOptions.parameters()],
}


_FILES = "Input and output"


@click.command()
@click.argument("source")
@click.option(
    "--dataset", panel=_FILES, help="FiftyOne dataset to write to; by default named as the folder."
)
@click.option(
    "--output",
    panel=_FILES,
    help="COCO json to write; without --dataset, no FiftyOne dataset is made. With --engine ray: "
    "folder or URL of the shards.",
)
@click.option(
    "--images-dir",
    panel=_FILES,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the images of a COCO json lie; by default beside it.",
)
@click.option("--field", panel=_FILES, help="Field of the dataset; by default named as the method.")
@click.option(
    "--masks-dir",
    panel=_FILES,
    type=click.Path(file_okay=False, path_type=Path),
    help="Write masks as PNG files there instead of into the database.",
)
@declared_options(RunOptions)
@click.option(
    "--engine",
    panel="Ray",
    type=click.Choice(list(_ENGINE_FLAGS)),
    default="local",
    show_default=True,
    help="ray: all cores of this machine, or the cluster at RAY_ADDRESS; see docs/cluster.md.",
)
@declared_options(RayOptions, BackboneOptions)
@method_options
@click.pass_context
def generate(context: click.Context, source: str, output: str | None, **flags: Any) -> None:
    """Make masks for SOURCE: a folder, a glob, a COCO json, a URL or a FiftyOne dataset.

    The masks go into a FiftyOne dataset, into a COCO json, or into both; with --engine ray into
    a folder of Parquet shards, which `promerge import` and `promerge export` read. A run that was
    stopped continues where it was when the same command is given again.
    """
    _check_engine(context)
    config = method_config(flags["method"], method_parameters(context))
    found = find_source(source, flags["images_dir"])
    if flags["engine"] == "ray":
        summary = _generate_shards(found, output, flags, config)
    elif is_url(found.root):
        raise RunError(f"{source} is a URL, which only --engine ray reads")
    elif found.entries is not None and output is not None and flags["dataset"] is None:
        summary = _generate_json(found.entries, Path(output), flags, config)
    else:
        summary = _generate_dataset(found, output, flags, config)
    print_summary(summary, console)


def _check_engine(context: click.Context) -> None:
    """Raises UsageError where a flag of the other engine was given."""
    engine = context.params["engine"]
    for other, names in _ENGINE_FLAGS.items():
        for name in names:
            if other != engine and is_given(context, name):
                raise click.UsageError(f"{flag(name)} is not for the engine {engine}")


def _generate_shards(
    source: Source, output: str | None, flags: dict[str, Any], config: RefinementConfig
) -> Summary:
    from promerge_core.backbones.loading import check_backbone
    from promerge_core.runs.ray_run import GeneratorSettings, RayRun
    from promerge_core.runs.shards import ShardFolder

    if source.entries is None:
        raise RunError("the engine ray reads a folder, a glob, a COCO json or a URL, no dataset")
    if output is None:
        raise RunError("the engine ray writes shards: name their folder or URL with --output")
    chosen, options = BackboneOptions.pick(flags), RunOptions.pick(flags)
    ray = RayOptions.pick(flags)
    digest = None
    if chosen.weights is not None:
        check_backbone(chosen.backbone, chosen.weights)
        digest = _file_digest(chosen.weights)
        chosen = dataclasses.replace(chosen, weights=str(Path(chosen.weights).resolve()))
    settings = GeneratorSettings(flags["method"], config, chosen, digest)
    root = source.root if is_url(source.root) else str(Path(source.root).absolute())
    run = RayRun(
        ShardFolder(output), root, source.entries, settings, options.batch_size, ray.shard_size
    )
    with tqdm(total=len(source.entries), unit="image") as bar:
        summary = run.run(ray.concurrency, ray.num_gpus, options.overwrite, bar.update)
    console.print(f"Shards are in {output}")
    if summary.skipped and not summary.images:
        raise RunError(f"none of the {len(summary.skipped)} images could be read")
    return summary


def _generate_json(
    entries: list[ImageEntry], output: Path, flags: dict[str, Any], config: RefinementConfig
) -> Summary:
    from promerge_core import load_backbone
    from promerge_core.runs.local_run import CocoRun
    from promerge_core.runs.outputs import check_output

    chosen, options = BackboneOptions.pick(flags), RunOptions.pick(flags)
    check_output(output, options.overwrite)
    backbone = load_backbone(chosen.backbone, chosen.device, chosen.dtype, chosen.weights)
    deciding = options.deciding()
    batch_size = deciding.pop("batch_size")
    settings = {
        "method": flags["method"],
        **chosen.deciding(),
        "weights": _file_digest(chosen.weights),
        "device": backbone.device.type,
        **deciding,
    }
    generator = METHODS[flags["method"]].load()(backbone, config)
    run = CocoRun(generator, entries, output, settings, batch_size)
    if options.overwrite:
        run.discard()
    if run.is_complete():
        console.print(f"{output} is complete already; --overwrite makes it again")
        return run.read_summary()
    with tqdm(total=len(entries), unit="image") as bar:
        summary = run.run(options.num_workers, bar.update)
    console.print(f"Masks are in {output}")
    return summary


def _file_digest(path: str | None) -> str | None:
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _generate_dataset(
    source: Source, output: str | None, flags: dict[str, Any], config: RefinementConfig
) -> Summary:
    from fiftyone_promerge.coco.exporting import export_coco
    from fiftyone_promerge.fields import check_field_name
    from fiftyone_promerge.models.promerge import load_model
    from promerge_core.runs.outputs import check_output

    name, field = flags["dataset"] or source.name, flags["field"] or flags["method"]
    check_field_name(field)
    chosen, options = BackboneOptions.pick(flags), RunOptions.pick(flags)
    if output is not None:
        check_output(Path(output), options.overwrite, {"dataset": name, "field": field})
    images = None if source.entries is None else find_images_for_dataset(source.entries)
    model = load_model(method=flags["method"], **chosen.to_dict(), **config.to_dict())
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
    dataset: fo.Dataset, field: str, model: MaskModel, masks_dir: Path | None, options: RunOptions
) -> Summary:
    """Makes the masks; RunError where not one image can be read."""
    from fiftyone_promerge.app.colours import colour_by_instance
    from fiftyone_promerge.app.targets import count_target, work_ahead
    from fiftyone_promerge.fields import count_samples
    from fiftyone_promerge.generation.generate import generate_masks

    target = count_target(dataset, field)
    console.print(work_ahead(target, overwrite=options.overwrite))
    colour_by_instance(dataset)
    summary = generate_masks(dataset, model, field, masks_dir=masks_dir, **options.to_dict())
    already = count_samples(dataset) - summary.images - len(summary.skipped)
    if summary.skipped and not summary.images and not already:
        raise none_readable(summary.skipped)
    if already:
        console.print(f"{already} images had masks already; --overwrite makes them again")
    return summary
