"""Backbones by name: images -> keys of a self-supervised ViT, one feature a patch."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from promerge_core.registry import BACKBONES, DINO_MODELS

from .base import Backbone, BackboneError
from .device import resolve_device, resolve_dtype
from .embedded import EmbeddedBackbone
from .vit import ViTBackbone
from .weights import check_readable, load_state, read_state_dict

_DINO_URL = "https://dl.fbaipublicfiles.com/dino"


def load_backbone(
    name: str = "dino_vitb8",
    device: str = "auto",
    dtype: str = "auto",
    weights: str | Path | None = None,
) -> Backbone:
    """Loads a backbone, frozen and ready to compute.

    Args:
        name: `dino_vitb8`, `dino_vits8`, `dino_vitb16`, `dino_vits16`, `embedded` (needs no
            weights), or any other timm ViT as `timm:<name>`.
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
    """
    check_backbone(name, weights)
    target = resolve_device(device, with_mps=name != "embedded")
    number_type = resolve_dtype(dtype, target)
    if name == "embedded":
        if target.type == "mps":
            raise BackboneError("the embedded backbone cannot compute on mps; use auto or cpu")
        backbone: Backbone = EmbeddedBackbone()
    elif name in DINO_MODELS:
        backbone = _load_dino(name, number_type, weights)
    else:
        backbone = _load_timm(name, number_type, weights)
    return backbone.to(target).eval().requires_grad_(False)


def check_backbone(name: str, weights: str | Path | None = None) -> None:
    """Checks in no time what can be: the name, and that the weights file can be read.

    Raises:
        BackboneError: the name is unknown, or there is no such file.
    """
    timm_name = name.removeprefix("timm:") if name.startswith("timm:") else None
    if timm_name is None and name not in BACKBONES:
        raise BackboneError(
            f"unknown backbone {name!r}; known are {', '.join(BACKBONES)}, and any timm ViT as "
            f"timm:<name>"
        )
    if timm_name is not None and not _timm().is_model(timm_name):
        raise BackboneError(f"timm has no model {timm_name!r}; see timm.list_models('vit_*')")
    if weights is None:
        return
    if name == "embedded":
        raise BackboneError("the backbone 'embedded' takes no weights file")
    check_readable(Path(weights))


def _load_dino(name: str, dtype: torch.dtype, weights: str | Path | None) -> Backbone:
    timm_name, _ = DINO_MODELS[name]
    model = _create_model(name, timm_name, weights, {})
    return ViTBackbone(name, model, dtype, dino_positions=True)


def _load_timm(name: str, dtype: torch.dtype, weights: str | Path | None) -> Backbone:
    model = _create_model(name, name.removeprefix("timm:"), weights, {"dynamic_img_size": True})
    attention = getattr(getattr(model, "blocks", [None])[-1], "attn", None)
    if not hasattr(attention, "qkv") and not hasattr(attention, "k_proj"):
        raise BackboneError(f"{name} is not a vision transformer whose attention keys can be read")
    return ViTBackbone(name, model, dtype, dino_positions=False)


def _timm() -> ModuleType:
    """Imported when a ViT is asked for: it takes seconds, which every process would pay."""
    import timm

    return timm


def _create_model(
    name: str, timm_name: str, weights: str | Path | None, options: dict[str, Any]
) -> nn.Module:
    """A timm model with the pretrained weights of its name, or with a local file's."""
    if weights is None and not _timm().models.is_model_pretrained(timm_name):
        raise BackboneError(
            f"timm has no pretrained weights for {timm_name}; bring its state dict as .pth or "
            f".safetensors and pass it with --weights FILE (weights=FILE in Python)"
        )
    state = None if weights is None else read_state_dict(Path(weights))
    # The hub's client announces each of its retries; the error at the end says all of it.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        model = _timm().create_model(timm_name, pretrained=state is None, num_classes=0, **options)
    except TypeError as error:
        raise BackboneError(f"{timm_name} is not a vision transformer timm can resize") from error
    except (OSError, RuntimeError) as error:
        raise BackboneError(_download_message(name)) from error
    if state is not None:
        load_state(model, state, Path(weights or ""), timm_name)
    return model


def download_weights(name: str, path: str | Path) -> None:
    """Downloads the pretrained weights of a DINO backbone as a `.safetensors` file.

    Args:
        name: a name of `DINO_MODELS`.
        path: the file to write; it is there whole or not at all.

    Raises:
        BackboneError: the hub cannot be reached; the message says which file to bring.
    """
    timm_name, _ = DINO_MODELS[name]
    partial = Path(path).with_suffix(".partial")
    save_file(_create_model(name, timm_name, None, {}).state_dict(), partial)
    partial.replace(path)


def _download_message(name: str) -> str:
    official = DINO_MODELS.get(name, (None, None))[1]
    if official is None:
        bring = "its state dict as .pth or .safetensors"
    else:
        bring = f"{official}.pth ({_DINO_URL}/{official}/{official}.pth)"
    return (
        f"the pretrained weights of {name} could not be downloaded: the hub cannot be reached. "
        f"Bring {bring} and pass it with --weights FILE (weights=FILE in Python), "
        f"or use the backbone 'embedded', which needs none"
    )
