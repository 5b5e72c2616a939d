"""Unsupervised instance segmentation in FiftyOne: ProMerge and its baselines."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promerge_core.lazy import lazy_names

if TYPE_CHECKING:
    from .benchmarks import load_benchmark
    from .coco_export import export_coco
    from .coco_import import import_coco
    from .detector_model import DetectorModel, load_detector
    from .detectors import train_detector
    from .evaluation import evaluate
    from .generation import generate_masks
    from .model import ProMergeModel, load_model

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
    "DetectorModel": "detector_model",
    "ProMergeModel": "model",
    "evaluate": "evaluation",
    "export_coco": "coco_export",
    "generate_masks": "generation",
    "import_coco": "coco_import",
    "load_benchmark": "benchmarks",
    "load_detector": "detector_model",
    "load_model": "model",
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
