"""Rows of several images in one tensor [B, R, ...]: each image's own first, then empty ones."""

from __future__ import annotations

import torch


def pad_rows(rows: torch.Tensor, image: torch.Tensor, images: int) -> torch.Tensor:
    """Gives every image a block of rows of the same height.

    Args:
        rows: tensor [R, ...].
        image: int64 tensor [R], the image that each row belongs to; ascending.
        images: how many images there are.

    Returns:
        tensor [images, K, ...], where K is the most rows that any image has; zero after an
        image's own.
    """
    if images == 1:
        return rows[None]
    count = image.bincount(minlength=images)
    start = count.cumsum(0) - count
    place = torch.arange(len(rows), device=rows.device) - start[image]
    padded = rows.new_zeros(images, int(count.amax()), *rows.shape[1:])
    padded[image, place] = rows
    return padded


def choose_rows(rows: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The chosen rows of every image, in their order.

    Args:
        rows: tensor [B, R, ...].
        chosen: bool tensor [B, R].

    Returns:
        tensor [B, K, ...], padded as by `pad_rows`.
    """
    return pad_rows(rows[chosen], chosen.nonzero()[:, 0], len(rows))


def in_order(rows: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The rows of every image in another order.

    Args:
        rows: tensor [B, R, ...].
        order: int64 tensor [B, K], which row of its image comes at each place.

    Returns:
        tensor [B, K, ...].
    """
    return rows[torch.arange(len(rows), device=rows.device)[:, None], order]
