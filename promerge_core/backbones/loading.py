"""Backbones by name, checked and ready to compute."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from promerge_core.registry import BACKBONES, TIMM_PREFIX, BackboneEntry, find_backbone

from .base import Backbone, BackboneError
from .device import resolve_device, resolve_dtype
from .vit import create_model, has_model
from .weights import check_readable


def load_backbone(
    name: str = "dino_vitb8",
    device: str = "auto",
    dtype: str = "auto",
    weights: str | Path | None = None,
) -> Backbone:
    """Loads a backbone, frozen and ready to compute.

    Args:
        name: a name of `promerge_core.registry.BACKBONES`: `dino_vitb8`, `dino_vits8`,
            `dino_vitb16`, `dino_vits16`, `embedded` (needs no weights); or any other timm ViT as
            `timm:<name>`.
        device: `auto` (cuda, else mps, else cpu) or a torch device; `embedded` computes on cuda
            and cpu only.
        dtype: `auto` (bfloat16 where the hardware has it, else float32), `float32`, `bfloat16` or
            `float16`.
        weights: a local `.pth` or `.safetensors` state dict in DINO's or timm's naming; None
            downloads the pretrained weights of that name from timm's hub.

    Returns:
        the `Backbone`, in evaluation mode.

    Raises:
        BackboneError: the name, device or dtype is unknown, the hub cannot be reached, or the
            weights do not fit; the message says what to do.

    Examples:
        >>> import numpy as np
        >>> from promerge_core import load_backbone
        >>> backbone = load_backbone("embedded")
        >>> images = np.zeros((2, 480, 480, 3), np.uint8)
        >>> backbone(backbone.normalise(images)).shape
        torch.Size([2, 40, 60, 60])
    """
    entry = check_backbone(name, weights)
    target = resolve_device(device, with_mps="mps" in entry.devices)
    number_type = resolve_dtype(dtype, target)
    if target.type == "mps" and "mps" not in entry.devices:
        raise BackboneError(f"the {name} backbone cannot compute on mps; use auto or cpu")
    backbone: Backbone = entry.load()(name, entry, number_type, weights)
    return backbone.to(target).eval().requires_grad_(False)


def check_backbone(name: str, weights: str | Path | None = None) -> BackboneEntry:
    """Checks what takes no time: the name, and that the weights file can be read.

    Args:
        name: see `load_backbone`.
        weights: see `load_backbone`.

    Returns:
        what is known of the backbone.

    Raises:
        BackboneError: the name is unknown, or there is no such file.
    """
    entry = find_backbone(name)
    if entry is None:
        raise BackboneError(
            f"unknown backbone {name!r}; known are {', '.join(BACKBONES)}, and any timm ViT as "
            f"{TIMM_PREFIX}<name>"
        )
    if entry.timm_name and name not in BACKBONES and not has_model(entry.timm_name):
        raise BackboneError(f"timm has no model {entry.timm_name!r}; see timm.list_models('vit_*')")
    if weights is None:
        return entry
    if not entry.needs_weights:
        raise BackboneError(f"the backbone {name!r} takes no weights file")
    check_readable(Path(weights))
    return entry


def download_weights(name: str, path: str | Path) -> None:
    """Downloads the pretrained weights of a backbone as a `.safetensors` file.

    Args:
        name: a name of `promerge_core.registry.BACKBONES`; of one that needs no weights an empty
            file is made.
        path: the file to write; it is written completely or not at all.

    Raises:
        BackboneError: the hub cannot be reached; the message says which file to bring.
    """
    entry = BACKBONES[name]
    if not entry.needs_weights:
        Path(path).touch()
        return
    partial = Path(path).with_suffix(".partial")
    save_file(create_model(name, entry, None).state_dict(), partial)
    partial.replace(path)
