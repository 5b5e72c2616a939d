"""Keys of a vision transformer's last attention block, in timm's models."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from promerge_core.registry import OFFLINE_BACKBONE, BackboneEntry

from .attention import faster_attention
from .base import Backbone, BackboneError
from .weights import load_state, read_state_dict


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
        with faster_attention(self.device, self.dtype):
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


def load_vit(
    name: str, entry: BackboneEntry, dtype: torch.dtype, weights: str | Path | None
) -> ViTBackbone:
    """A ViT of timm with pretrained weights.

    Args:
        name: the name it is loaded by.
        entry: its model in timm, and how its position embeddings are interpolated.
        dtype: the blocks compute in this type.
        weights: a local state dict; None downloads the pretrained one.

    Returns:
        the backbone, on the CPU.

    Raises:
        BackboneError: the hub cannot be reached, the weights do not fit, or the model is no ViT.
    """
    model = create_model(name, entry, weights)
    attention = getattr(getattr(model, "blocks", [None])[-1], "attn", None)
    if not hasattr(attention, "qkv") and not hasattr(attention, "k_proj"):
        raise BackboneError(f"{name} is not a vision transformer whose attention keys can be read")
    return ViTBackbone(name, model, dtype, dino_positions=entry.positions == "dino")


def has_model(timm_name: str) -> bool:
    """Whether timm has a model of that name."""
    return _timm().is_model(timm_name)


def _timm() -> ModuleType:
    """Imported when a ViT is asked for: it takes seconds, which every process would pay."""
    import timm

    return timm


def create_model(name: str, entry: BackboneEntry, weights: str | Path | None) -> nn.Module:
    """A timm model with the pretrained weights of its name, or with a local file's.

    Args:
        name: the name of the backbone, for messages.
        entry: its model in timm.
        weights: a local state dict; None downloads the pretrained one.

    Returns:
        the model without its classification head, float32, on the CPU.

    Raises:
        BackboneError: the hub cannot be reached, or the weights do not fit.
    """
    timm_name = entry.timm_name
    if weights is None and not _timm().models.is_model_pretrained(timm_name):
        raise BackboneError(
            f"timm has no pretrained weights for {timm_name}; bring its state dict as .pth or "
            f".safetensors and pass it with --weights FILE (weights=FILE in Python)"
        )
    state = None if weights is None else read_state_dict(Path(weights))
    # DINO's position embeddings are interpolated here, others by timm.
    options = {} if entry.positions == "dino" else {"dynamic_img_size": True}
    # The hub's client announces each of its retries; the error at the end says all of it.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        model = _timm().create_model(timm_name, pretrained=state is None, num_classes=0, **options)
    except TypeError as error:
        raise BackboneError(f"{timm_name} is not a vision transformer timm can resize") from error
    except (OSError, RuntimeError) as error:
        raise BackboneError(_download_message(name, entry)) from error
    if state is not None:
        load_state(model, state, f"{weights} does not fit {timm_name}")
    return model


def _download_message(name: str, entry: BackboneEntry) -> str:
    bring = "its state dict as .pth or .safetensors"
    if entry.official_weights:
        bring = f"{Path(entry.official_weights).name} ({entry.official_weights})"
    return (
        f"the pretrained weights of {name} could not be downloaded: the hub cannot be reached. "
        f"Bring {bring} and pass it with --weights FILE (weights=FILE in Python), "
        f"or use the backbone {OFFLINE_BACKBONE!r}, which needs none"
    )
