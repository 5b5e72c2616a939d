"""The inputs of a form that choose a method and its backbone."""

from __future__ import annotations

from typing import Any

from promerge_core.backbones.loading import check_backbone
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
    sentences = {name: entry.label for name, entry in BACKBONES.items()}
    form.parameters(BackboneOptions, ["backbone"], defaults=defaults, labels=sentences, said=_SAID)
    backbone = form.values["backbone"]
    known = form.check("backbone", lambda: check_backbone(backbone))
    entry = find_backbone(backbone)
    form.values["weights"] = None
    if (entry is not None and entry.needs_weights) or form.given("weights"):
        form.parameters(BackboneOptions, ["weights"], defaults=defaults)
        if known:
            form.check("weights", lambda: check_backbone(backbone, form.values["weights"]))
