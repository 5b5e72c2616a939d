"""The command `promerge`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import rich_click as click
from rich.console import Console

from promerge_core import PromergeError
from promerge_core.options import BackboneOptions, RunOptions
from promerge_core.registry import OFFLINE_BACKBONE

from .evaluate import benchmark_data, evaluate, export_field, import_field
from .generate import generate
from .options import declared_options
from .training import predict, train

console = Console()
click.rich_click.TEXT_MARKUP = "markdown"
# In a terminal of 80 columns the ranges beside the flags would cut the longest names.
click.rich_click.OPTIONS_TABLE_COLUMN_TYPES = ["required", "opt_short", "opt_long", "help"]
click.rich_click.OPTIONS_TABLE_HELP_SECTIONS = ["help", "metavar", "required", "default"]


class PromergeGroup(click.RichGroup):
    """Turns what a user can cause into one sentence and a non-zero exit."""

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group.invoke`."""
        try:
            return super().invoke(ctx)
        except PromergeError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from error
        except KeyboardInterrupt as error:
            raise click.ClickException(
                "stopped; what was done is kept, and the same command goes on from there"
            ) from error


@click.group(cls=PromergeGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fiftyone-promerge")
def main() -> None:
    """Instance masks for images without labels, in FiftyOne or as COCO json."""
    # With mongod 6.0 FiftyOne prints a notice at every start, though it supports it.
    os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")


for command in (generate, evaluate, benchmark_data, export_field, import_field, train, predict):
    main.add_command(command)


@main.command()
@declared_options(BackboneOptions, backbone=OFFLINE_BACKBONE)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("demo/masks.png"),
    show_default=True,
    help="Where to draw all results.",
)
def demo(backbone: str, weights: str | None, device: str, dtype: str, picture: Path) -> None:
    """Segment real photos into the FiftyOne dataset `promerge-demo`, and draw them."""
    from fiftyone_promerge.models.promerge import load_model

    model = load_model(backbone, weights=weights, device=device, dtype=dtype)
    from fiftyone_promerge.demo import DATASET, run_demo

    from .report import print_summary

    console.print(f"Segmenting the demo's photos with the backbone {backbone} ...")
    _, summary = run_demo(model, picture)
    print_summary(summary, console)
    console.print(f"The picture of all results: {picture}", highlight=False)
    console.print(f"The dataset is kept in FiftyOne as {DATASET}; look at it: make app")
    console.print("(the same without make: promerge app)")
    if backbone == OFFLINE_BACKBONE:
        console.print(
            "These masks come from hand-made descriptors. With DINO, as in the paper:\n"
            "    promerge demo --backbone dino_vitb8\n"
            "    promerge demo --backbone dino_vitb8 --weights dino_vitbase8_pretrain.pth",
            highlight=False,
        )


@main.command()
@click.argument("dataset", default="promerge-demo")
@click.option("--port", type=click.IntRange(1, 65535), default=5151, show_default=True)
@click.option("--remote", is_flag=True, help="Do not open a browser on this machine.")
def app(dataset: str, port: int, remote: bool) -> None:
    """Open the FiftyOne App on DATASET."""
    import fiftyone as fo

    from fiftyone_promerge.operators.installation import install_plugin

    if not fo.dataset_exists(dataset):
        raise PromergeError(f"there is no FiftyOne dataset {dataset!r}; promerge demo makes one")
    folder = install_plugin()
    if folder is not None:
        console.print(f"The App's operators are now installed in {folder}", highlight=False)
    session = fo.launch_app(fo.load_dataset(dataset), port=port, remote=remote)
    console.print(f"The App is at http://localhost:{port}; Ctrl-C ends it", highlight=False)
    session.wait(-1)


@main.command("install-plugin")
def install_plugin_command() -> None:
    """Install the operators and the panel into the FiftyOne App of this environment."""
    from fiftyone_promerge.operators.installation import NAME, install_plugin

    folder = install_plugin()
    where = f"installed in {folder}" if folder else "there already"
    console.print(f"The plugin {NAME} is {where}; restart the App to see it", highlight=False)


@main.command()
@declared_options(BackboneOptions)
@declared_options(RunOptions, "batch_size", batch_size=1)
@click.option(
    "--repeats", type=click.IntRange(1, 100), default=8, show_default=True, help="Timed runs."
)
@click.option(
    "--peers/--no-peers",
    default=True,
    show_default=True,
    help="Measure timm, pydensecrf and scipy's eigensolver too.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the figures there too.",
)
def benchmark(
    backbone: str,
    weights: str | None,
    device: str,
    dtype: str,
    batch_size: int,
    repeats: int,
    peers: bool,
    json_path: Path | None,
) -> None:
    """Measure seconds per image of each stage and of the whole, and peak memory.

    Without --weights the backbone's weights are random: they do not change its speed. The stages
    after it run on planted features, whose mask counts are like DINO's.
    """
    from fiftyone_promerge.demo import demo_photos
    from fiftyone_promerge.profile import measure_fiftyone
    from promerge_core import open_image
    from promerge_core.profile.run import run_profile

    from .report import print_benchmark

    photos = [open_image(path) for path in demo_photos()]
    figures = run_profile(photos, backbone, device, dtype, weights, batch_size, repeats, peers)
    figures["fiftyone"] = measure_fiftyone()
    print_benchmark(figures, console)
    if json_path is not None:
        json_path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
