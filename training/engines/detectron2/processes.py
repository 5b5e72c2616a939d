"""The processes that train together with detectron2."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import detectron2.engine as d2
import torch
import torch.distributed as dist
from detectron2.utils import comm

from fiftyone_promerge.training.engines.base import World


def join(world: World) -> torch.device:
    """Joins the other processes; returns the device of this one."""
    on_cuda = torch.cuda.is_available()
    if world.world_size > 1:
        if not dist.is_initialized():
            dist.init_process_group("nccl" if on_cuda else "gloo", timeout=d2.DEFAULT_TIMEOUT)
        comm.create_local_process_group(world.local_world_size)
    if not on_cuda:
        return torch.device("cpu")
    torch.cuda.set_device(world.local_rank)
    return torch.device("cuda", world.local_rank)


def launch(
    function: Callable[..., None],
    num_gpus_per_machine: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str = "auto",
    args: tuple[Any, ...] = (),
) -> None:
    """Calls a function in one process per GPU, as `detectron2.engine.launch` does, not torchrun.

    Args:
        function: calls `train_detector` in each process; it must be importable.
        num_gpus_per_machine: processes on this machine.
        num_machines: machines, on each of which `launch` is called.
        machine_rank: number of this machine, from 0.
        dist_url: where the processes meet, such as `tcp://host:port`; `auto` on one machine.
        args: the function's arguments.
    """
    d2.launch(
        _call_in_world,
        num_gpus_per_machine,
        num_machines,
        machine_rank,
        dist_url,
        (function, num_gpus_per_machine, args),
    )


def _call_in_world(
    function: Callable[..., None], local_world_size: int, args: tuple[Any, ...]
) -> None:
    """Calls a function with the environment that torchrun would give its process."""
    if dist.is_initialized():
        world = World(
            dist.get_rank(), dist.get_world_size(), comm.get_local_rank(), local_world_size
        )
        os.environ["TORCHELASTIC_RUN_ID"] = "detectron2"
        os.environ.update({name.upper(): str(value) for name, value in world._asdict().items()})
    function(*args)
