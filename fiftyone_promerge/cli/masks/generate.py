"""The command `promerge generate`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click
from tqdm import tqdm

from fiftyone_promerge.cli.options import (
    declared_options,
    flag,
    is_given,
    method_options,
    method_parameters,
)
from fiftyone_promerge.cli.report import console, print_summary
from promerge_core.files import file_digest
from promerge_core.options import BackboneOptions, MaskOptions, RayOptions
from promerge_core.registry import METHODS, method_config
from promerge_core.runs.sources import RunError, is_url

from .making import FILES, make_masks, place_options
from .sources import Source, find_source

if TYPE_CHECKING:
    from fiftyone_promerge.models.mask_model import MaskModel
    from promerge_core import RefinementConfig, Summary
    from promerge_core.generator import MaskMaker


# What only one of the engines takes.
_ENGINE_FLAGS = {
    "local": ["dataset", "field", "masks_dir", "num_workers", "device", "embeddings"],
    "ray": [one.name for one in RayOptions.parameters()],
}


@click.command()
@click.option_panel(FILES)
@click.option_panel("Model")
@click.option_panel("ProMerge")
@click.option_panel("MaskCut")
@click.option_panel("CRF")
@click.option_panel("Machine")
@click.option_panel("Ray")
@click.argument("source")
@click.option(
    "--output",
    panel=FILES,
    help="COCO json to write; without --dataset, no FiftyOne dataset is made. With --engine ray: "
    "folder or URL of the shards.",
)
@click.option("--field", panel=FILES, help="Field of the dataset; by default named as the method.")
@place_options
@declared_options(MaskOptions)
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
    else:
        maker = _Method(flags["method"], BackboneOptions.pick(flags), config)
        summary = make_masks(found, flags["field"] or flags["method"], output, flags, maker)
    print_summary(summary, console)


class _Method(NamedTuple):
    """Makes masks by a method without training; see `Maker`."""

    name: str
    backbone: BackboneOptions
    config: RefinementConfig

    def generator(self) -> tuple[MaskMaker, dict[str, Any]]:
        """See `Maker.generator`."""
        from promerge_core import load_backbone

        chosen = self.backbone
        backbone = load_backbone(chosen.backbone, chosen.device, chosen.dtype, chosen.weights)
        settings = {
            "method": self.name,
            **chosen.deciding(),
            "weights": None if chosen.weights is None else file_digest(chosen.weights),
            "device": backbone.device.type,
        }
        return METHODS[self.name].load()(backbone, self.config), settings

    def model(self) -> MaskModel:
        """See `Maker.model`."""
        from fiftyone_promerge.models.promerge import load_model

        return load_model(method=self.name, **self.backbone.to_dict(), **self.config.to_dict())


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
    chosen, options = BackboneOptions.pick(flags), MaskOptions.pick(flags)
    ray = RayOptions.pick(flags)
    digest = None
    if chosen.weights is not None:
        check_backbone(chosen.backbone, chosen.weights)
        digest = file_digest(chosen.weights)
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
