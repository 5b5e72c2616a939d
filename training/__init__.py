"""ProMerge+ and CutLER: class-agnostic detectors trained on masks that no human drew."""

from .checkpoint import read_checkpoint
from .engine import ENGINES, Detector, TrainingError, TrainingStoppedError, World
from .recipes import RECIPES
from .records import Record, mask_from_rle
from .run import Progress, label_records, load, loss_curve, train

__all__ = [
    "ENGINES",
    "RECIPES",
    "Detector",
    "Progress",
    "Record",
    "TrainingError",
    "TrainingStoppedError",
    "World",
    "label_records",
    "load",
    "loss_curve",
    "mask_from_rle",
    "read_checkpoint",
    "train",
]
