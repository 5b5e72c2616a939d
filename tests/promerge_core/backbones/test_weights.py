"""Weights files of every kind: whole, damaged and malicious."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from promerge_core import BackboneError
from promerge_core.backbones.weights import check_readable, load_state, read_state_dict
from promerge_core.errors import PromergeError


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


HEAD = {"head.mlp.0.weight": torch.zeros(4, 384), "head.last_layer.weight_g": torch.zeros(4, 1)}
WRAPPINGS = {
    "plain": lambda state: state,
    "teacher": lambda state: {"teacher": prefixed(state | HEAD, "backbone.")},
    "module": lambda state: prefixed(state | HEAD, "module.backbone."),
    "state_dict": lambda state: {"state_dict": prefixed(state, "module."), "epoch": 3},
    "model": lambda state: {"model": state},
    "full checkpoint": lambda state: {
        "student": prefixed(
            {name: t + 1 for name, t in (state | HEAD).items()}, "module.backbone."
        ),
        "teacher": prefixed(state | HEAD, "backbone."),
        "optimizer": {"state": {0: {"step": 5}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 800,
        "args": argparse.Namespace(arch="vit_small", lr=0.0005, local_crops_scale=(0.05, 0.4)),
        "dino_loss": {"center": torch.zeros(1, 4)},
    },
}


def equal(found, expected):
    same_names = found.keys() == expected.keys()
    return same_names and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_state_dicts_are_unwrapped(tmp_path, small, wrapping):
    path = tmp_path / "weights.pth"
    torch.save(WRAPPINGS[wrapping](small), path)
    assert equal(read_state_dict(path), small)


def test_a_full_dino_checkpoint_gives_the_teachers_keys(
    tmp_path, small, small_file, pictures, load_small
):
    path = tmp_path / "checkpoint.pth"
    torch.save(WRAPPINGS["full checkpoint"](small), path)
    backbone, plain = load_small(path), load_small(small_file)
    images = plain.normalise(pictures[:1])
    assert torch.equal(backbone(images), plain(images))


@pytest.mark.parametrize("legacy", [True, False])
def test_safetensors_and_both_formats_of_torch_are_read(tmp_path, small, legacy):
    save_file(small, tmp_path / "w.safetensors")
    torch.save(small, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    for name in ("w.safetensors", "w.pth"):
        assert equal(read_state_dict(tmp_path / name), small)


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.system, (f"touch {self.target}",))


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path, small, protocol, wrapped, load_small
):
    target = tmp_path / "touched"
    content = {**small, "bomb": Bomb(target)} if wrapped else Bomb(target)
    path = tmp_path / "weights.pth"
    if protocol == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(BackboneError, match=r"weights\.pth is not a plain state dict"):
        load_small(path)
    assert not target.exists()
    torch.load(path, weights_only=False) if protocol == "torch" else pickle.loads(path.read_bytes())
    assert target.exists()


def test_weights_of_another_architecture_are_named(tmp_path, weights_of, load_small):
    other = weights_of("vit_tiny_patch16_224", depth=11)
    other["extra.weight"] = torch.zeros(1)
    torch.save(other, tmp_path / "tiny.pth")
    with pytest.raises(BackboneError) as error:
        load_small(tmp_path / "tiny.pth")
    message = str(error.value)
    assert "tiny.pth does not fit vit_small_patch16_224.dino" in message
    assert "12 missing (blocks.11.attn.proj.bias, blocks.11.attn.proj.weight, " in message
    assert "1 unexpected (extra.weight)" in message
    assert "of another shape (cls_token (1, 1, 192) instead of (1, 1, 384), " in message
    assert len(message) < 1000


def test_weights_of_another_patch_size_are_named(tmp_path, weights_of, load_small):
    torch.save(weights_of("vit_small_patch8_224.dino"), tmp_path / "small8.pth")
    with pytest.raises(BackboneError, match=r"2 of another shape .*patch_embed\.proj\.weight"):
        load_small(tmp_path / "small8.pth")


TEXTS = [
    b"hello world",
    b"]q",
    b"a",
    b"# notes\n",
    b"{}",
    b"PK\x03\x04junk",
    b"",
    b"\x80\x02}q\x00.",
]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"


@pytest.mark.parametrize("content", [*TEXTS, POINTER])
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights"])
def test_files_that_are_no_weights_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=name):
        read_state_dict(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_refused(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "weights.pth"
    for _ in range(60):
        path.write_bytes(rng.bytes(int(rng.integers(1, 50))))
        with pytest.raises(BackboneError, match=r"weights\.pth"):
            read_state_dict(path)


def test_a_truncated_file_is_refused(tmp_path, small, small_file):
    save_file(small, tmp_path / "w.safetensors")
    for whole in (tmp_path / "w.safetensors", small_file):
        cut = tmp_path / f"cut{whole.suffix}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(BackboneError, match="is not a readable"):
            read_state_dict(cut)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.zeros(3), {"a": [1.0]}])
def test_what_holds_no_parameters_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(BackboneError, match="holds no state dict"):
        read_state_dict(tmp_path / "weights.pth")


@pytest.mark.parametrize("names", [[1], ["a", 1], [("a",)], [b"a"], [None]])
def test_names_that_are_no_text_are_refused(tmp_path, names):
    torch.save(dict.fromkeys(names, torch.zeros(2)), tmp_path / "weights.pth")
    with pytest.raises(BackboneError, match="holds no state dict: names of parameters"):
        read_state_dict(tmp_path / "weights.pth")


@pytest.mark.parametrize("legacy", [True, False])
def test_numbers_of_numpy_beside_the_weights_are_left_out(tmp_path, small, legacy):
    content = {"model": small, "iteration": np.int64(90_000), "best_metric": np.float64(0.1)}
    path = tmp_path / "weights.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert equal(read_state_dict(path), small)


def test_the_weights_are_found_however_deep_they_are_wrapped(tmp_path, small):
    path = tmp_path / "weights.pth"
    torch.save({"model": {"teacher": {"state_dict": small}}}, path)
    assert equal(read_state_dict(path), small)
    endless = {"epoch": 3}
    endless["model"] = endless
    torch.save(endless, path)
    with pytest.raises(BackboneError, match="holds no state dict"):
        read_state_dict(path)


def expanded(*shape):
    return torch.zeros(1).expand(shape)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (expanded(10**6, 10**6), "1 of another shape"),
        (expanded(3, 2).to(torch.complex64), "1 of another type"),
        (torch.zeros(3, 2, dtype=torch.int64), "1 of another type"),
        (torch.zeros(3, 2).to_sparse(), "1 of another type"),
        (torch.quantize_per_tensor(torch.zeros(3, 2), 0.1, 0, torch.qint8), "1 of another type"),
        (torch.zeros(3, 2, device="meta"), "1 of another type"),
        (torch.full((3, 2), torch.nan), "1 not finite"),
        (torch.full((3, 2), 1e300, dtype=torch.float64), "1 not finite"),
    ],
    ids=["huge", "complex", "whole", "sparse", "quantised", "meta", "NaN", "too large"],
)
@pytest.mark.filterwarnings("ignore:.*quantize:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*TypedStorage")
def test_tensors_that_are_no_weights_are_refused_by_name(tmp_path, weight, message):
    path = tmp_path / "weights.pth"
    torch.save({"weight": weight, "bias": torch.zeros(3)}, path)
    assert path.stat().st_size < 10_000
    model = torch.nn.Linear(2, 3)
    with pytest.raises(BackboneError, match=rf"^no: {message} \(weight"):
        load_state(model, read_state_dict(path), "no")


def test_weights_of_lower_precision_fit():
    model = torch.nn.BatchNorm1d(2)
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    load_state(model, state, "does not fit")


@pytest.mark.parametrize("length", [0, 7, 10**9, 2**40, 2**63, 2**64 - 1])
def test_a_safetensors_file_with_a_wrong_header_is_refused(tmp_path, length):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(4)}, path)
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(BackboneError, match=r"w\.safetensors is not a readable"):
        read_state_dict(path)


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.pth")
    (tmp_path / "loop.pth").symlink_to("loop.pth")
    for path in (tmp_path / "fifo.pth", tmp_path / "loop.pth", Path("/dev/zero")):
        with pytest.raises(BackboneError, match=f"no weights file at {path}"):
            read_state_dict(path)


def test_missing_weights_and_folders_are_named(tmp_path, load_small):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(BackboneError, match=f"no weights file at {path}"):
            load_small(path)


def test_weights_that_do_not_fit_raise_the_error_that_was_asked_for_and_change_nothing():
    class CheckpointError(PromergeError):
        pass

    model = torch.nn.Linear(2, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = {"weight": torch.zeros(3, 2), "bias": torch.zeros(4)}
    with pytest.raises(CheckpointError, match=r"^no: 1 of another shape \(bias \(4,\) instead"):
        load_state(model, state, "no", CheckpointError)
    assert equal(model.state_dict(), before)


def test_weights_that_fit_are_loaded():
    model = torch.nn.Linear(2, 3)
    state = {"bias": torch.ones(3), "weight": torch.zeros(3, 2)}
    load_state(model, state, "does not fit")
    assert equal(model.state_dict(), state)


def test_an_unreadable_file_is_named_before_it_is_opened(tmp_path):
    path = tmp_path / "weights.pth"
    path.touch()
    check_readable(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(BackboneError, match=r"weights\.pth may not be read"):
        check_readable(path)
