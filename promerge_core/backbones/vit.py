"""Keys of a vision transformer's last attention block."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .base import Backbone


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
