"""The commands `train` and `predict`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rich_click as click
from rich.console import Console
from tqdm import tqdm

from fiftyone_promerge.training import ENGINES, RECIPES
from promerge_core import PromergeError
from promerge_core.options import DeviceOptions, RunOptions

from .options import declared_options
from .report import print_summary

console = Console()


@click.command()
@click.argument("dataset")
@click.option(
    "--field", default="promerge", show_default=True, help="Field of the masks to train on."
)
@click.option(
    "--output",
    "output_dir",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run: records, logs, checkpoints.",
)
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default="torchvision",
    show_default=True,
    help="What trains; detectron2 must be installed by hand.",
)
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="promerge_plus",
    show_default=True,
    help="How it is trained.",
)
@click.option(
    "--architecture",
    type=click.Choice(["mask_rcnn", "cascade_mask_rcnn"]),
    default="mask_rcnn",
    show_default=True,
    help="The detector; the cascade needs detectron2.",
)
@click.option(
    "--rounds", type=click.IntRange(1), help="Rounds of the recipe to do.  [default: all]"
)
@click.option(
    "--weights",
    help="A ResNet-50 to begin with, or random.  [default: DINO's, which is downloaded]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Images in a step, on all devices.  [default: 2 a device]",
)
@click.option(
    "--devices",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Devices of this machine.",
)
@click.option(
    "--num-workers",
    "--workers",
    "num_workers",
    type=click.IntRange(0, 256),
    default=2,
    show_default=True,
    help="Processes a device that read images.",
)
def train(dataset: str, field: str, output_dir: Path, **options: Any) -> None:
    """Train a class-agnostic detector on the masks of DATASET.

    The same command goes on with a run that was stopped. For several machines, start it on each
    with torchrun --no-python.
    """
    from fiftyone_promerge.detectors import train_detector
    from fiftyone_promerge.training import World, read_checkpoint

    is_main = World.current().rank == 0
    samples = _load(dataset) if is_main else None
    checkpoint = train_detector(
        samples, field, output_dir=output_dir, progress=_Interruptible(), **options
    )
    if not is_main:
        return
    metrics = read_checkpoint(checkpoint).metrics
    found = ", ".join(f"{name} {metrics[name]:.2g}" for name in ("AP", "AP50") if name in metrics)
    for line in (
        f"Against the labels of the validation images: {found}",
        f"The detector is {checkpoint}; to put its masks into a field:",
        f"    promerge predict {dataset} --checkpoint {checkpoint}",
    ):
        console.print(line, highlight=False, soft_wrap=True)


class _Interruptible:
    """Raises at the end of an iteration what Ctrl-C would raise in the middle of it."""

    def __init__(self) -> None:
        self._asked = False
        self._process = os.getpid()
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        if os.getpid() != self._process:
            return  # a worker, which a terminal tells as well
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        tqdm.write("Stopping after this iteration; Ctrl-C again ends it at once")

    def __call__(self, done: int, total: int, metrics: Mapping[str, float]) -> None:
        if self._asked:
            raise KeyboardInterrupt


@click.command()
@click.argument("dataset")
@click.option(
    "--checkpoint",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A detector.pt of promerge train, or a .pth or .pkl of CutLER's code.",
)
@click.option("--field", default="promerge_plus", show_default=True, help="Field to write to.")
@declared_options(RunOptions, batch_size=4)
@declared_options(DeviceOptions)
def predict(
    dataset: str,
    checkpoint: Path,
    field: str,
    batch_size: int,
    num_workers: int,
    device: str,
    overwrite: bool,
) -> None:
    """Write the masks of a trained detector into a field of DATASET."""
    from fiftyone_promerge.generation.generate import generate_masks
    from fiftyone_promerge.models.detector import load_detector

    samples = _load(dataset)
    model = load_detector(checkpoint, device)
    summary = generate_masks(
        samples,
        model,
        field,
        batch_size=batch_size,
        num_workers=num_workers,
        overwrite=overwrite,
    )
    print_summary(summary, console)
    console.print(f"Masks are in the field {field} of the FiftyOne dataset {dataset}")


def _load(name: str) -> Any:
    import fiftyone as fo

    if not fo.dataset_exists(name):
        known = ", ".join(fo.list_datasets()) or "none"
        raise PromergeError(f"there is no FiftyOne dataset {name!r}; there are: {known}")
    return fo.load_dataset(name)
