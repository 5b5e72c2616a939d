"""Where a backbone computes, and in which number type."""

from __future__ import annotations

import torch

from promerge_core.options import DTYPES

from .base import BackboneError


def resolve_device(device: str = "auto", with_mps: bool = False) -> torch.device:
    """The device of that name.

    Args:
        device: `auto` (cuda, else cpu) or a torch device.
        with_mps: whether `auto` takes Apple's GPU before the CPU.

    Returns:
        the device, which this machine has.

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


def available_devices() -> list[str]:
    """The names of the devices that this machine has, the CPU first."""
    gpus = torch.cuda.device_count()
    cudas = ["cuda", *(f"cuda:{index}" for index in range(gpus) if gpus > 1)] if gpus else []
    return ["cpu", *cudas, *["mps"] * torch.backends.mps.is_available()]


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The number type of that name.

    Args:
        dtype: a name of `promerge_core.options.DTYPES`.
        device: the device that `auto` is decided for.

    Returns:
        the number type; for `auto`, bfloat16 where the hardware has it, else float32.

    Raises:
        BackboneError: the name is unknown.
    """
    if dtype not in DTYPES:
        raise BackboneError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}")
    if dtype != "auto":
        return getattr(torch, dtype)
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and cpu_has_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def cpu_has_bfloat16() -> bool:
    """Whether matrix products of bfloat16 run in this CPU's own instructions."""
    capabilities = torch.cpu.get_capabilities()
    return bool(
        capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    )
