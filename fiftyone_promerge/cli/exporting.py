"""The command `promerge export-detector`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from .options import overwrite_option
from .report import console


@click.command("export-detector")
@click.argument("checkpoint", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("path", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@overwrite_option
def export_detector_command(checkpoint: Path, path: Path, overwrite: bool) -> None:
    """Write the detector of CHECKPOINT, of the engine torchvision, as ONNX to PATH."""
    from fiftyone_promerge.training import export_detector

    export_detector(checkpoint, path, overwrite=overwrite)
    console.print(f"The detector is in {path}; docs/training.md says how to use it")
