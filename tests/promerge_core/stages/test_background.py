"""The background vote."""

from __future__ import annotations

import pytest
import torch

from promerge_core.stages.background import vote_background


@pytest.mark.parametrize(("votes", "count"), [(2, 4), (3, 5), (1, 2), (1, 1), (0, 3)])
def test_background_is_what_more_than_half_of_the_candidates_hold(votes, count):
    candidates = torch.zeros(count, 2, 2, dtype=torch.bool)
    candidates[:votes, 0, 1] = True
    background = vote_background(candidates, torch.ones(count, dtype=torch.bool))
    assert bool(background[0, 1]) is (votes > count / 2)
    assert background.sum() == background[0, 1]


def test_no_candidates_no_background():
    masks = torch.ones(5, 3, 3, dtype=torch.bool)
    assert not vote_background(masks, torch.zeros(5, dtype=torch.bool)).any()
