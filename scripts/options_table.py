"""Writes docs/options.md: every parameter and option, from its declaration.

python scripts/options_table.py docs/options.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from fiftyone_promerge.training import TrainingOptions
from promerge_core.config import MaskCutConfig, ProMergeConfig, RefinementConfig
from promerge_core.options import (
    BackboneOptions,
    GroupOptions,
    MaskOptions,
    RayOptions,
    SpreadOptions,
)
from promerge_core.parameters import Config, Parameter

INTRODUCTION = """# Parameters and options

Each name below is a keyword argument in Python and a field of the form in the App. On the command
line it is a flag: `seed_stride` is `--seed-stride`. This page is made from the declarations by
`python scripts/options_table.py docs/options.md`.
"""

SECTIONS: dict[str, tuple[type[Config], str]] = {
    "ProMerge": (ProMergeConfig, "`promerge generate --method promerge`, `load_model(...)`"),
    "MaskCut": (MaskCutConfig, "`promerge generate --method maskcut`"),
    "Refinement": (RefinementConfig, "The dense CRF of both methods"),
    "Backbone": (BackboneOptions, "`promerge generate`, `load_model(...)`"),
    "Run": (
        MaskOptions,
        "`promerge generate`, `generate_masks(...)`, and, without `embeddings`, `promerge predict`",
    ),
    "Groups": (GroupOptions, "`promerge group`, `group_masks(...)`"),
    "Labels": (SpreadOptions, "`promerge spread`, `spread_labels(...)`"),
    "Ray": (RayOptions, "`promerge generate --engine ray`"),
    "Training": (TrainingOptions, "`promerge train`, `train_detector(...)`"),
}


def table(config: type[Config], without: type[Config] | None = None) -> str:
    """The parameters of a config as a Markdown table.

    Args:
        config: the config.
        without: another one, whose parameters are left out.

    Returns:
        the table's lines, joined.
    """
    left_out = {one.name for one in without.parameters()} if without else set()
    rows = [_row(one) for one in config.parameters() if one.name not in left_out]
    return "\n".join(["| name | meaning | values | default |", "|---|---|---|---|", *rows])


def _row(one: Parameter) -> str:
    values = ", ".join(f"`{choice}`" for choice in one.choices) if one.choices else one.range
    default = "" if one.default is None else f"`{one.default}`"
    return f"| `{one.name}` | {one.help} | {values} | {default} |"


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, (config, use) in SECTIONS.items():
        shared = RefinementConfig if title in ("ProMerge", "MaskCut") else None
        parts.append(f"## {title}\n\n{use}\n\n{table(config, shared)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
