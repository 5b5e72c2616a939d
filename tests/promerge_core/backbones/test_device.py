"""Where a backbone computes, and in which number type."""

from __future__ import annotations

import pytest
import torch

from promerge_core import BackboneError, load_backbone
from promerge_core.backbones.device import available_devices, resolve_device, resolve_dtype
from promerge_core.options import DTYPES


@pytest.mark.parametrize("device", ["gpu", "", "meta", "hpu", "vulkan", "cuda:99", "cpu:x"])
def test_devices_that_cannot_compute_here_are_refused(device):
    with pytest.raises(BackboneError, match=f"device {device!r} cannot be used here"):
        load_backbone("embedded", device=device)


def test_unknown_number_type_lists_the_known_ones():
    with pytest.raises(BackboneError, match="auto, float32, bfloat16, float16; got 'int8'"):
        load_backbone("embedded", "cpu", dtype="int8")


def test_automatic_choices_are_of_this_machine():
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    assert resolve_device("auto").type == ("cuda" if cuda else "cpu")
    expected = "cuda" if cuda else "mps" if mps else "cpu"
    assert resolve_device("auto", with_mps=True).type == expected
    assert load_backbone("embedded").device == resolve_device("auto")
    assert resolve_device("cpu") == torch.device("cpu")
    capabilities = torch.cpu.get_capabilities()
    fast = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    expected = torch.bfloat16 if fast else torch.float32
    assert resolve_dtype("auto", torch.device("cpu")) is expected


@pytest.mark.parametrize("name", [name for name in DTYPES if name != "auto"])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_number_type_is_what_its_name_says_on_every_device(name, device):
    assert str(resolve_dtype(name, torch.device(device))) == f"torch.{name}"


@pytest.mark.parametrize("name", ["float64", "", "torch.float32", None, []])
def test_other_number_types_are_refused(name):
    with pytest.raises(BackboneError, match=f"one of {', '.join(DTYPES)}; got"):
        resolve_dtype(name, torch.device("cpu"))


def test_apples_gpu_computes_in_float32_unless_told_otherwise():
    assert resolve_dtype("auto", torch.device("mps")) is torch.float32


def test_every_device_that_is_offered_can_compute():
    devices = available_devices()
    assert devices[0] == "cpu"
    assert [str(resolve_device(name)) for name in devices] == devices
