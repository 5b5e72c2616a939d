"""Files of torch.save: what is refused before it is unpacked, and what is left out unread."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

from promerge_core import BackboneError
from promerge_core.backbones.stand_ins import Array, Foreign
from promerge_core.backbones.torch_files import check_size, check_structure, load_torch, unwrap


def write_zeros(path, megabytes):
    """A checkpoint of one tensor of zeros, compressed to a thousandth."""
    plain = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, plain)
    source = zipfile.ZipFile(plain)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in source.infolist():
            content = source.read(entry)
            with archive.open(entry.filename, "w") as file:
                if entry.filename.endswith("data/0"):
                    for _ in range(megabytes):
                        file.write(bytes(1 << 20))
                else:
                    numbers = (megabytes << 18).to_bytes(4, "little")
                    old = b"K\x03tq\x05QK\x00K\x03\x85q\x06"
                    new = b"J" + numbers + b"tq\x05QK\x00J" + numbers + b"\x85q\x06"
                    file.write(content.replace(old, new))


READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6_000_000_000,) * 2)
from pathlib import Path
from promerge_core.errors import PromergeError
from promerge_core.backbones.weights import read_state_dict
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
from fiftyone_promerge.training.checkpoints.restricted_pickle import read_weights
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (read_state_dict, read_checkpoint, read_weights):
    try:
        read(Path(sys.argv[1]))
    except PromergeError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_zeros_are_not_unpacked_by_any_reader(tmp_path):
    path = tmp_path / "zeros.pth"
    write_zeros(path, 300)
    assert path.stat().st_size < 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    *sentences, megabytes = done.stdout.splitlines()
    assert sentences == 3 * [
        f"{path} is a compressed archive, which no checkpoint of torch.save is"
    ]
    assert int(megabytes) < 50


def test_a_size_that_is_forged_is_no_way_round(tmp_path):
    path = tmp_path / "zeros.pth"
    write_zeros(path, 1)
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
    content = bytearray(path.read_bytes())
    while (start := content.find(b"PK\x01\x02", directory)) >= 0:
        content[start + 24 : start + 28] = (9).to_bytes(4, "little")
        directory = start + 1
    path.write_bytes(content)
    with pytest.raises(BackboneError, match="compressed archive"):
        check_structure(path, BackboneError)


def test_what_torch_saves_passes(tmp_path):
    for zipped in (True, False):
        path = tmp_path / "weights.pth"
        torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=zipped)
        check_structure(path, BackboneError)


def test_other_archives_are_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped", "x")
    with pytest.raises(BackboneError, match="zip archive, but not a checkpoint"):
        check_structure(path, BackboneError)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/version", "3")
        archive.writestr("archive/../../../escaped", "x")
    check_structure(path, BackboneError)
    assert load_torch(path) == {}
    assert [one.name for one in tmp_path.iterdir()] == ["weights.pth"]
    assert not (tmp_path.parent / "escaped").exists()


def test_a_file_larger_than_the_memory_is_refused_unread(tmp_path):
    path = tmp_path / "weights.pth"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(BackboneError, match=r"weights\.pth has 4398\.0 GB, but only .* are free"):
        check_size(path, BackboneError)


@pytest.mark.parametrize("zipped", [True, False])
def test_numbers_of_numpy_become_stand_ins(tmp_path, zipped):
    path = tmp_path / "weights.pth"
    content = {
        "model": {"a": torch.ones(2)},
        "iteration": np.int64(7),
        "best_metric": np.float64(0.5),
        "curve": np.arange(3, dtype=np.float32),
    }
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    read = load_torch(path)
    assert torch.equal(read["model"]["a"], torch.ones(2))
    assert all(isinstance(read[key], Array) for key in ("iteration", "best_metric", "curve"))
    assert read["iteration"].tensor.item() == 7
    assert read["best_metric"].tensor.item() == 0.5
    assert read["curve"].tensor.tolist() == [0, 1, 2]


def test_what_is_no_weights_is_neither_imported_nor_called(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    module = types.ModuleType("vanished")
    settings = type("Settings", (), {"__module__": "vanished", "__qualname__": "Settings"})
    module.Settings = settings
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "vanished", module)
        torch.save({"model": {"a": torch.ones(2)}, "settings": settings(), "of": settings}, path)
    read = load_torch(path)
    assert torch.equal(read["model"]["a"], torch.ones(2))
    assert isinstance(read["settings"], Foreign)
    assert read["settings"].name == "vanished.Settings"


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.system, (f"touch {self.target}",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_bomb_beside_the_weights_does_not_run(tmp_path, zipped):
    path, target = tmp_path / "weights.pth", tmp_path / "touched"
    content = {"model": {"a": torch.ones(2)}, "hook": Bomb(target)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError, match=r"posix"):
        load_torch(path)
    assert not target.exists()


def test_the_innermost_state_dict_is_unwrapped():
    state = {"a": 1}
    for content in (
        state,
        {"model": state},
        {"model": {"state_dict": state}},
        {"state_dict": {"model": state}, "model": 3},
    ):
        assert unwrap(content, ("model", "state_dict")) is state
    assert unwrap([state], ("model",)) == [state]
    endless = {}
    endless["model"] = endless
    assert unwrap(endless, ("model", "state_dict")) is endless
