"""Backbones by name: images -> keys of a self-supervised ViT, one feature a patch."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from promerge_core.registry import BACKBONES, DINO_MODELS

from .base import Backbone, BackboneError
from .embedded import EmbeddedBackbone
from .weights import check_readable, load_state, read_state_dict

_DINO_URL = "https://dl.fbaipublicfiles.com/dino"


class ViTBackbone(Backbone):
    """Keys of the last attention block of a timm vision transformer, all heads concatenated.

    Only what the keys need is computed: the last block is cut after its key projection.

    Args:
        name: the name it was loaded by.
        model: a timm ViT with `blocks` whose attention has a `qkv` or a `k_proj` layer.
        dtype: the blocks compute in this type; the keys are float32 always.
        dino_positions: interpolate position embeddings as the official DINO code does, instead
            of as timm does.
    """

    def __init__(self, name: str, model: Any, dtype: torch.dtype, dino_positions: bool) -> None:
        super().__init__()
        self.name = name
        self.dtype = dtype
        self.patch_size = model.patch_embed.patch_size[0]
        self.dim = model.embed_dim
        model.blocks[-1] = KeyProjection(model.blocks[-1])
        model.norm = nn.Identity()
        model.patch_embed.strict_img_size = False
        self.model: Any = model.to(dtype)
        self._positions = model.pos_embed.detach().float() if dino_positions else None
        self._grid: tuple[int, int] | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `Backbone.forward`.

        Raises:
            ValueError: the images' sides are not multiples of the patch size.
        """
        height, width = images.shape[2] // self.patch_size, images.shape[3] // self.patch_size
        if images.shape[2] % self.patch_size or images.shape[3] % self.patch_size:
            raise ValueError(
                f"image sides must be multiples of the patch size {self.patch_size}; "
                f"got {tuple(images.shape[2:])}"
            )
        if self._positions is not None and self._grid != (height, width):
            positions = interpolate_dino_positions(self._positions, height, width)
            self.model.pos_embed = nn.Parameter(
                positions.to(self.device, self.dtype), requires_grad=False
            )
            self._grid = (height, width)
        keys = self.model.forward_features(images.to(self.dtype))
        keys = keys[:, self.model.num_prefix_tokens :].float().to(self.features_device)
        return keys.unflatten(1, (height, width)).permute(0, 3, 1, 2)


class KeyProjection(nn.Module):
    """Stands in for a ViT's last block and gives its attention keys, [B, tokens, C]."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.norm: nn.Module = block.norm1
        attention = block.attn
        if getattr(attention, "qkv", None) is None:
            self.projection: nn.Module = attention.k_proj
            return
        dim = attention.qkv.in_features
        projection = nn.Linear(dim, dim, bias=attention.qkv.bias is not None)
        projection.weight = nn.Parameter(attention.qkv.weight[dim : 2 * dim])
        if attention.qkv.bias is not None:
            projection.bias = nn.Parameter(attention.qkv.bias[dim : 2 * dim])
        self.projection = projection

    def forward(self, tokens: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        """Keys of the tokens; the further arguments that some blocks take are not needed."""
        return self.projection(self.norm(tokens))


def interpolate_dino_positions(positions: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Position embeddings for another grid, as DINO defines them.

    Bicubic, with the scale (side + 0.1) / trained side: DINO adds 0.1 against rounding errors, and
    its features were only ever seen with that small shift.

    Args:
        positions: float32 tensor [1, 1 + n * n, C]; the class token comes first.
        height: rows of the new grid.
        width: columns of the new grid.

    Returns:
        float32 tensor [1, 1 + height * width, C].
    """
    side = round((positions.shape[1] - 1) ** 0.5)
    grid = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    if (height, width) != (side, side):
        scale = ((height + 0.1) / side, (width + 0.1) / side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


def resolve_device(device: str = "auto", with_mps: bool = False) -> torch.device:
    """The device of that name.

    Args:
        device: `auto` (cuda, else cpu) or a torch device.
        with_mps: whether `auto` takes Apple's GPU before the CPU.

    Raises:
        BackboneError: the name is unknown, or this machine has no such device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if with_mps and torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.zeros(1, device=resolved)
        if resolved.type == "meta":
            raise RuntimeError("the device meta holds no values")
    except (RuntimeError, AssertionError, ImportError) as error:
        raise BackboneError(
            f"device {device!r} cannot be used here; "
            f"use auto, cpu, or cuda on a machine with a CUDA GPU"
        ) from error
    return resolved


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The number type of that name; `auto` is bfloat16 where the hardware has it, else float32.

    Raises:
        BackboneError: the name is unknown.
    """
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype in named:
        return named[dtype]
    if dtype != "auto":
        raise BackboneError(f"dtype must be one of auto, {', '.join(named)}; got {dtype!r}")
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and _cpu_has_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def _cpu_has_bfloat16() -> bool:
    """Whether matrix products of bfloat16 run in this CPU's own instructions."""
    capabilities = torch.cpu.get_capabilities()
    return bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    )


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
