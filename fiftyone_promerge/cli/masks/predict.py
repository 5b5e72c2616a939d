"""The command `promerge predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from fiftyone_promerge.cli.options import declared_options
from fiftyone_promerge.cli.report import console, print_summary
from promerge_core.files import file_digest
from promerge_core.options import DeviceOptions, RunOptions
from promerge_core.runs.sources import RunError, is_url

from .making import make_masks, place_options
from .sources import find_source

if TYPE_CHECKING:
    from fiftyone_promerge.models.mask_model import MaskModel
    from promerge_core.generator import MaskMaker


@click.command()
@click.argument("source")
@click.option(
    "--checkpoint",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A detector.pt of promerge train, or a .pth or .pkl of CutLER's code.",
)
@click.option("--output", help="COCO json to write; without --dataset, no dataset is made.")
@click.option("--field", default="promerge_plus", show_default=True, help="Field of the dataset.")
@place_options
@declared_options(RunOptions, DeviceOptions, defaults={"batch_size": 4})
def predict(source: str, checkpoint: Path, output: str | None, field: str, **flags: Any) -> None:
    """Write the masks that a trained detector finds in SOURCE.

    SOURCE is a folder, a file, a glob or a COCO json, as for `promerge generate`, or else the name
    of a FiftyOne dataset. The masks go into a dataset, into a COCO json, or into both. A run that
    was stopped continues where it was when the same command is given again.

    Examples: promerge predict photos/ --checkpoint detector.pt --output found.json;
    promerge predict my-dataset --checkpoint detector.pt
    """
    if is_url(source):
        raise RunError(f"{source} is a URL; a detector reads files and datasets")
    found = find_source(source, flags["images_dir"])
    summary = make_masks(found, field, output, flags, _Trained(checkpoint, flags["device"]))
    print_summary(summary, console)


class _Trained(NamedTuple):
    """Makes masks by a trained detector; see `Maker`."""

    checkpoint: Path
    device: str

    def generator(self) -> tuple[MaskMaker, dict[str, Any]]:
        """See `Maker.generator`."""
        from fiftyone_promerge.training import DetectorGenerator, load
        from promerge_core.backbones.device import resolve_device

        detector = load(self.checkpoint, resolve_device(self.device))
        settings = {
            "method": DetectorGenerator.METHOD,
            "checkpoint": self.checkpoint.name,
            "sha256": file_digest(self.checkpoint),
            "device": detector.device.type,
        }
        return DetectorGenerator(detector), settings

    def model(self) -> MaskModel:
        """See `Maker.model`."""
        from fiftyone_promerge.models.detector import load_detector

        return load_detector(self.checkpoint, self.device)
