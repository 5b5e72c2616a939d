"""The inputs of a form that choose a method and its backbone."""

from __future__ import annotations

from typing import Any

from promerge_core.options import BackboneOptions
from promerge_core.registry import BACKBONES, METHODS, find_backbone

from .forms import Form

_SAID = {"backbone": "Choose one, or type any ViT of timm as timm:NAME"}


def ask_model(form: Form, defaults: dict[str, Any]) -> None:
    """Asks for the method, the backbone, and its weights where it needs any.

    Args:
        form: gets the values `method`, `backbone` and `weights`.
        defaults: other defaults than the declared ones, by name.
    """
    labels = {name: entry.label for name, entry in METHODS.items()}
    form.choice("method", labels, defaults.get("method", "promerge"), label="Method")
    ask_backbone(form, defaults)


def ask_backbone(form: Form, defaults: dict[str, Any]) -> None:
    """Asks for the backbone, and its weights where it needs any.

    Args:
        form: gets the values `backbone` and `weights`.
        defaults: other defaults than the declared ones, by name.
    """
    sentences = {name: entry.label for name, entry in BACKBONES.items()}
    form.parameters(BackboneOptions, ["backbone"], defaults=defaults, labels=sentences, said=_SAID)
    backbone = form.values["backbone"]
    known = backbone in BACKBONES or form.check("backbone", lambda: _check(backbone))
    entry = find_backbone(backbone)
    form.values["weights"] = None
    if (entry is not None and entry.needs_weights) or form.given("weights"):
        form.parameters(BackboneOptions, ["weights"], defaults=defaults)
        if known and form.values["weights"]:
            form.check("weights", lambda: _check(backbone, form.values["weights"]))


def _check(backbone: str, weights: str | None = None) -> None:
    """See `check_backbone`; it waits for PyTorch, which most forms do without."""
    from promerge_core.backbones.loading import check_backbone

    check_backbone(backbone, weights)
