"""Every operator and panel of the plugin; `plugin.py` and `fiftyone.yml` name the same ones."""

from __future__ import annotations

import fiftyone.operators as foo

from fiftyone_promerge.operators.inspector.panel import Inspector
from fiftyone_promerge.operators.naming.group_masks import GroupMasks
from fiftyone_promerge.operators.naming.name_groups import NameGroups
from fiftyone_promerge.operators.naming.panel import GroupsPanel
from fiftyone_promerge.operators.naming.spread_labels import SpreadLabels

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
    GroupMasks,
    NameGroups,
    SpreadLabels,
    StopRun,
    Inspector,
    GroupsPanel,
)
