"""The command `promerge train`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rich_click as click
from tqdm import tqdm

from fiftyone_promerge.training.options import TrainingOptions

from .options import declared_options
from .report import console


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
@declared_options(TrainingOptions)
def train(dataset: str, field: str, output_dir: Path, **flags: Any) -> None:
    """Train a class-agnostic detector on the masks of DATASET.

    The same command continues a run that was stopped. For several machines, start it on each with
    torchrun --no-python.
    """
    from fiftyone_promerge.detectors import train_detector
    from fiftyone_promerge.fields import open_dataset
    from fiftyone_promerge.training import World, read_checkpoint

    is_main = World.current().rank == 0
    checkpoint = train_detector(
        open_dataset(dataset) if is_main else None,
        field,
        output_dir=output_dir,
        progress=_Interruptible(),
        **TrainingOptions.pick(flags).to_dict(),
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
        console.print(line, soft_wrap=True)


class _Interruptible:
    """Raises at the end of an iteration what Ctrl-C would raise in the middle of it."""

    def __init__(self) -> None:
        self._asked = False
        self._process = os.getpid()
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        if os.getpid() != self._process:
            return  # a worker: a terminal interrupts it as well
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        tqdm.write("Stopping after this iteration; press Ctrl-C again to stop at once")

    def __call__(self, done: int, total: int, metrics: Mapping[str, float]) -> None:
        if self._asked:
            raise KeyboardInterrupt
