"""The command `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from promerge_core.options import BackboneOptions
from promerge_core.registry import OFFLINE_BACKBONE

from .options import check_output_file, declared_options, overwrite_option
from .report import console, print_summary

_PICTURE = Path("demo/masks.png")


@click.command()
@declared_options(BackboneOptions, defaults={"backbone": OFFLINE_BACKBONE})
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=_PICTURE,
    show_default=True,
    help="Where to draw all results.",
)
@overwrite_option
def demo(picture: Path, overwrite: bool, **flags: Any) -> None:
    """Segment real photos into the FiftyOne dataset `promerge-demo`, and draw them."""
    from fiftyone_promerge.demo import DATASET, run_demo
    from fiftyone_promerge.models.promerge import load_model

    if picture != _PICTURE:  # which is the demo's own
        check_output_file(picture, overwrite, makes_folder=True)
    options = BackboneOptions.pick(flags)
    model = load_model(**options.to_dict())
    console.print(f"Segmenting the demo's photos with the backbone {options.backbone} ...")
    _, summary = run_demo(model, picture)
    print_summary(summary, console)
    console.print(f"The picture of all results: {picture}")
    console.print(f"The dataset is kept in FiftyOne as {DATASET}; to look at it: make app")
    console.print("(the same without make: promerge app)")
    if options.backbone == OFFLINE_BACKBONE:
        console.print(
            "These masks come from hand-made descriptors. With DINO, as in the paper:\n"
            "    promerge demo --backbone dino_vitb8\n"
            "    promerge demo --backbone dino_vitb8 --weights dino_vitbase8_pretrain.pth",
        )
