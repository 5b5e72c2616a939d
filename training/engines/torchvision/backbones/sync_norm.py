"""Batch normalisation over several processes on CPUs, where torch's own needs GPUs."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn


class CPUSyncBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose batch is that of all processes; for DDP with gloo."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises [N, C, H, W], each channel by the mean and variance over all processes."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        count = torch.tensor(float(x.numel() // x.shape[1]))
        dist.all_reduce(count)
        mean = _SumOverProcesses.apply(x.sum((0, 2, 3))) / count
        centred = x - mean[:, None, None]
        variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None])


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; what flows back is summed likewise."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total
