"""COCO's twelve numbers in words, and as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

METRICS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
"""The 12 numbers in the order of `COCOeval.stats`; -1 where there is no such ground truth."""

_SMALL = "small objects, under 32 x 32 pixels"
_MEDIUM = "medium objects, 32 x 32 to 96 x 96 pixels"
_LARGE = "large objects, over 96 x 96 pixels"

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "AP": "average precision, mean over IoU 0.5 to 0.95",
        "AP50": "average precision at IoU 0.5",
        "AP75": "average precision at IoU 0.75",
        "APs": f"average precision, {_SMALL}",
        "APm": f"average precision, {_MEDIUM}",
        "APl": f"average precision, {_LARGE}",
        "AR1": "average recall with the best prediction of each image",
        "AR10": "average recall with 10 predictions an image",
        "AR100": "average recall with 100 predictions an image",
        "ARs": f"average recall, {_SMALL}",
        "ARm": f"average recall, {_MEDIUM}",
        "ARl": f"average recall, {_LARGE}",
    }
)
"""What each of the twelve numbers says."""

SIZES = (
    "s, m, l: objects under 32 x 32, up to 96 x 96 and over 96 x 96 pixels; "
    "—: there is no ground truth of that size"
)
"""What stands below a table that has no room for `MEANINGS`."""

UNDEFINED = "—"
"""Stands where a number is not defined: there is no ground truth of that size."""


def panel_label(metric: str, value: float) -> str:
    """What FiftyOne's panel calls a metric; it shows the value beside it, as a fraction.

    Args:
        metric: a key of `MEANINGS`.
        value: from 0 to 1; -1 where it is not defined, which the panel shows as it is.

    Returns:
        the metric's name and meaning.
    """
    label = f"{metric}: {MEANINGS[metric]}"
    return f"{label} (not defined: there are none)" if value < 0 else label


def percent(value: float | None) -> str:
    """A number in percent, as a person reads it.

    Args:
        value: the number in percent; -1 where it is not defined, None where it is not known.

    Returns:
        one decimal, a dash for an undefined number, nothing for an unknown one.
    """
    if value is None:
        return ""
    return UNDEFINED if value < 0 else f"{value:.1f}"
