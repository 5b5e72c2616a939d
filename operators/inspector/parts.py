"""Parts that every page of the inspector is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fiftyone.operators import types

if TYPE_CHECKING:
    from .canvas import Plot


def item(basis: str) -> dict[str, Any]:
    """Props of a part: as wide as `basis` or wider, and never wider than the panel."""
    return {"item": {"sx": {"flex": f"1 1 {basis}", "minWidth": 0, "overflow": "hidden"}}}


def heading(panel: types.Object, label: str, description: str) -> None:
    """Adds what the page says in one sentence, and one more sentence about it.

    Args:
        panel: the panel.
        label: the sentence.
        description: the other one.
    """
    view = types.Header(label=label, description=description, componentsProps=item("100%"))
    panel.view("heading", view)


def notice(panel: types.Object, name: str, text: str, severity: str) -> None:
    """Adds a coloured line of text.

    Args:
        panel: the panel.
        name: of the part, unique in the panel.
        text: the line.
        severity: `info`, `warning` or `error`.
    """
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
    """Adds a plot and its captions; two stand side by side where the panel is wide enough.

    Args:
        panel: the panel.
        name: of the part, unique in the panel.
        plot: what to draw.
        label: what it shows.
        description: how to read it.
        basis: the least width, in CSS units.
        view: what else a `types.PlotlyView` takes, such as `on_click`.
    """
    view |= {"label": label, "description": description, "componentsProps": item(basis)}
    panel.plot(name, **plot, **view)
