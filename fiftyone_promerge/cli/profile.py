"""The command `benchmark`, which measures speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rich_click as click

from promerge_core.options import BackboneOptions, RunOptions

from .options import check_output_file, declared_options, overwrite_option
from .report import console, print_profile


@click.command()
@declared_options(BackboneOptions)
@declared_options(RunOptions, names=["batch_size"], defaults={"batch_size": 1})
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
    "--busy",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Measure the whole again beside so many busy programs.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the figures there too.",
)
@overwrite_option
def benchmark(
    repeats: int, peers: bool, busy: int, json_path: Path | None, overwrite: bool, **flags: Any
) -> None:
    """Measure seconds per image of each stage and of the whole, and peak memory.

    Without --weights the backbone's weights are random: they do not change its speed. The stages
    after it run on planted features, whose mask counts are like DINO's.
    """
    from fiftyone_promerge.demo import demo_photos
    from fiftyone_promerge.profile import measure_fiftyone
    from promerge_core import open_image
    from promerge_core.profile.run import run_profile

    check_output_file(json_path, overwrite)
    photos = [open_image(path) for path in demo_photos()]
    figures = run_profile(photos, **flags, repeats=repeats, peers=peers, busy=busy)
    figures["fiftyone"] = measure_fiftyone()
    print_profile(figures, console)
    if json_path is not None:
        json_path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
