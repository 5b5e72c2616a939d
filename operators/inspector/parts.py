"""Parts that every page of the inspector is made of."""

from __future__ import annotations

from typing import Any

from fiftyone.operators import types

from .canvas import Plot


def item(basis: str) -> dict[str, Any]:
    """Props of a part: as wide as `basis` or wider, and never wider than the panel."""
    return {"item": {"sx": {"flex": f"1 1 {basis}", "minWidth": 0, "overflow": "hidden"}}}


def heading(panel: types.Object, label: str, description: str) -> None:
    """Adds what the page says in one sentence, and one more sentence about it."""
    view = types.Header(label=label, description=description, componentsProps=item("100%"))
    panel.view("heading", view)


def notice(panel: types.Object, name: str, text: str, severity: str) -> None:
    """Adds a coloured line of text: `info`, `warning` or `error`."""
    view = types.AlertView(severity=severity, label=text, componentsProps=item("100%"))
    panel.view(name, view)


def picture(
    panel: types.Object,
    name: str,
    plot: Plot,
    label: str,
    description: str,
    basis: str = "260px",
    **view: Any,
) -> None:
    """Adds a plot below what it shows; two stand side by side where the panel is wide enough."""
    view |= {"label": label, "description": description, "componentsProps": item(basis)}
    panel.plot(name, **plot, **view)
