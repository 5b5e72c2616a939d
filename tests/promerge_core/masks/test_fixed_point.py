"""Iterations end at the state that their step leaves as it is, wherever they run."""

from __future__ import annotations

import pytest
import torch
from stand_in import DEVICE, accelerator

from promerge_core.masks.fixed_point import fixed_point


@pytest.mark.parametrize("end", [0, 1, 7, 8, 9, 20])
def test_the_end_is_reached_on_a_cpu_and_on_a_device(end):
    def step(state):
        return (state + 1).clamp(max=end)

    assert fixed_point(step, torch.tensor([0])).tolist() == [end]
    with accelerator():
        found = fixed_point(step, torch.tensor([0]).to(DEVICE))
        assert found.cpu().tolist() == [end]


def test_on_a_device_the_host_looks_at_every_eighth_step():
    with accelerator() as counts:
        fixed_point(lambda state: (state + 1).clamp(max=6), torch.zeros(1).to(DEVICE))
    assert counts["questions"] == 1
