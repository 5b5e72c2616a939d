"""Touching objects come apart at their necks; specks are told from objects."""

from __future__ import annotations

import numpy as np
import pytest

from promerge_core.masks.splitting import large_beside_others, solidity, split_necks


def discs(*centres: tuple[float, float], radius: float, side: int = 120) -> np.ndarray:
    """One mask of discs, bool [side, side]."""
    y, x = np.mgrid[:side, :side]
    return np.any([(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centres], axis=0)


@pytest.mark.parametrize("scale", [1, 3])
def test_two_touching_discs_come_apart_at_any_size(scale):
    radius, side = 9 * scale, 60 * scale
    pair = discs((30 * scale, 20 * scale), (30 * scale, 36 * scale), radius=radius, side=side)
    parts, origin = split_necks(pair[None], 0.86)
    assert origin.tolist() == [0, 0]
    assert (parts.sum(0) == pair).all()
    columns = sorted(part.nonzero()[1].mean() / scale for part in parts)
    assert columns == pytest.approx([20, 36], abs=1)


def test_one_disc_stays_one_and_a_wide_neck_holds():
    disc = discs((60, 60), radius=30)
    close = discs((60, 55), (60, 65), radius=30)
    parts, origin = split_necks(np.stack([disc, close]), 0.86)
    assert origin.tolist() == [0, 1]
    assert (parts == np.stack([disc, close])).all()


def test_the_ratio_decides_which_necks_are_narrow():
    pair = discs((60, 40), (60, 72), radius=20)[None]  # the neck is 24 of 40 pixels wide
    assert len(split_necks(pair, 0.5)[0]) == 1
    assert len(split_necks(pair, 0.7)[0]) == 2


def test_zero_splits_nothing_and_an_empty_mask_has_no_parts():
    pair = discs((60, 40), (60, 78), radius=20)[None]
    assert len(split_necks(pair, 0.0)[0]) == 1
    parts, origin = split_necks(np.zeros((2, 8, 8), bool), 0.8)
    assert (parts.shape, origin.shape) == ((0, 8, 8), (0,))


def test_specks_are_small_beside_the_typical_mask_however_many_they_are():
    masks = [discs((60, 60), radius=30), discs((60, 60), radius=20)]
    specks = [discs((10, 10), radius=2)] * 30
    large = large_beside_others(np.stack(masks + specks), 0.03)
    assert large.tolist() == [True, True] + [False] * 30
    assert large_beside_others(np.zeros((0, 8, 8), bool), 0.5).tolist() == []


def test_a_disc_is_more_solid_than_a_clump():
    disc, clump = solidity(
        np.stack([discs((60, 60), radius=25), discs((30, 30), (30, 70), (70, 70), radius=22)])
    )
    assert clump < 0.9 < disc <= 1
