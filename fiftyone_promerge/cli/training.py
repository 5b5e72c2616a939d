"""The command `promerge train`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rich_click as click
from rich.table import Table
from tqdm import tqdm

from fiftyone_promerge.training.options import TrainingOptions
from fiftyone_promerge.training.recipes import find_recipe

from .options import declared_options
from .report import console

_NUMBERS = ("AP", "AP50", "AR100")


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
    "--gt-field",
    help="Field of ground truth to measure labels and detectors against in the end; it is not "
    "trained on.",
)
@declared_options(TrainingOptions)
def train(dataset: str, field: str, output_dir: Path, gt_field: str | None, **flags: Any) -> None:
    """Train a detector on the masks of DATASET: of one class, or with --classes of many.

    The same command continues a run that was stopped. For several machines, start it on each with
    torchrun --no-python.
    """
    find_recipe(flags["recipe"])  # a mistake in it is said before anything else is loaded
    from fiftyone_promerge.detectors import train_detector
    from fiftyone_promerge.fields import open_dataset
    from fiftyone_promerge.training import World, read_results

    is_main = World.current().rank == 0
    checkpoint = train_detector(
        open_dataset(dataset) if is_main else None,
        field,
        output_dir=output_dir,
        gt_field=gt_field,
        progress=_Interruptible(),
        **TrainingOptions.pick(flags).to_dict(),
    )
    if not is_main:
        return
    console.print(_table(read_results(output_dir)))
    for line in (
        f"The detector is {checkpoint}; to put its masks into a field:",
        f"    promerge predict {dataset} --checkpoint {checkpoint}",
    ):
        console.print(line, soft_wrap=True)


def _table(rows: list[dict[str, Any]]) -> Table:
    """What `results.json` says, in percent."""
    from fiftyone_promerge.evaluation.words import percent

    images = max((row["images"] for row in rows), default=0)
    table = Table(title=f"On the {images} validation images, in percent")
    for name in ("round", "of", "measured against", "compared"):
        table.add_column(name)
    for name in _NUMBERS:
        table.add_column(name, justify="right")
    for row in rows:
        about = (str(row["round"]), row["of"], row["against"], row["shapes"])
        table.add_row(*about, *(percent(100 * row[name]) for name in _NUMBERS))
    return table


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
