"""Colours as the eye tells them apart."""

from __future__ import annotations

import torch

# Linear sRGB to CIE XYZ (IEC 61966-2-1), divided by the white point D65.
_RGB_TO_XYZ = (
    (0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505),
    (0.2126, 0.7152, 0.0722),
    (0.0193 / 1.0890, 0.1192 / 1.0890, 0.9505 / 1.0890),
)


def rgb_to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """SRGB to CIE Lab (CIE 15).

    Args:
        rgb: float32 tensor [B, 3, h, w] in [0, 1].

    Returns:
        float32 tensor [B, 3, h, w]: L, a and b in units of 100.
    """
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    red, green, blue = linear.unbind(1)
    xyz = torch.stack([r * red + g * green + b * blue for r, g, b in _RGB_TO_XYZ], dim=1)
    roots = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = roots.unbind(1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], dim=1)
