"""Every operator and panel of the plugin; `plugin.py` and `fiftyone.yml` name the same ones."""

from __future__ import annotations

import fiftyone.operators as foo

from fiftyone_promerge.operators.inspector.panel import Inspector

from .apply_detector import ApplyDetector
from .evaluate_masks import EvaluateMasks
from .export_coco import ExportCoco
from .generate_masks import GenerateMasks
from .load_benchmark import LoadBenchmark
from .open_inspector import OpenInspector
from .preview_masks import PreviewMasks
from .stop_run import StopRun
from .train_detector import TrainDetector

OPERATORS: tuple[type[foo.Operator], ...] = (
    GenerateMasks,
    PreviewMasks,
    OpenInspector,
    EvaluateMasks,
    TrainDetector,
    ApplyDetector,
    LoadBenchmark,
    ExportCoco,
    StopRun,
    Inspector,
)
