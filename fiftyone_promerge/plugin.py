"""The plugin's name, and those of its operators and panels, as `fiftyone.yml` has them."""

from __future__ import annotations

NAME = "@promerge/promerge"
DOCUMENTATION = "https://promerge.github.io/fiftyone-promerge"

OPERATORS = (
    "generate_masks",
    "preview_masks",
    "open_inspector",
    "evaluate_masks",
    "train_detector",
    "apply_detector",
    "load_benchmark",
    "export_coco",
    "group_masks",
    "name_groups",
    "spread_labels",
    "stop_run",
)
PANELS = ("promerge_inspector", "promerge_groups")


def help_link(page: str) -> str:
    """The address of a page of the documentation, by the name of its file in `docs`."""
    return f"{DOCUMENTATION}/{page}.html"
