"""Unsupervised instance segmentation in FiftyOne: ProMerge and its baselines."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promerge_core.lazy import lazy_names

if TYPE_CHECKING:
    from fiftyone_promerge.benchmarks.load import load_benchmark
    from fiftyone_promerge.coco.exporting import export_coco
    from fiftyone_promerge.coco.importing import import_coco
    from fiftyone_promerge.evaluation.run import evaluate
    from fiftyone_promerge.generation.generate import generate_masks
    from fiftyone_promerge.models.detector import DetectorModel, load_detector
    from fiftyone_promerge.models.promerge import ProMergeModel, load_model

    from .detectors import train_detector

__all__ = [
    "DetectorModel",
    "ProMergeModel",
    "evaluate",
    "export_coco",
    "generate_masks",
    "import_coco",
    "load_benchmark",
    "load_detector",
    "load_model",
    "train_detector",
]

_HOMES = {
    "DetectorModel": "models.detector",
    "ProMergeModel": "models.promerge",
    "evaluate": "evaluation.run",
    "export_coco": "coco.exporting",
    "generate_masks": "generation.generate",
    "import_coco": "coco.importing",
    "load_benchmark": "benchmarks.load",
    "load_detector": "models.detector",
    "load_model": "models.promerge",
    "train_detector": "detectors",
}
__getattr__ = lazy_names(__name__, _HOMES)


class _SourceTree:
    """Finds the two parts of this package that stand beside it in a source tree."""

    _PARTS = (f"{__name__}.operators", f"{__name__}.training")

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name not in cls._PARTS:
            return None
        folder = Path(__file__).resolve().parents[1] / name.rpartition(".")[2]
        return importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


if not (Path(__file__).parent / "operators").is_dir():
    sys.meta_path.append(_SourceTree)
