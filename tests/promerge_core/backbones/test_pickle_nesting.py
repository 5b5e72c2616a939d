"""Tuples of pickles: those of checkpoints pass, those that would end Python are refused."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile

import pytest
import torch

from promerge_core.backbones.pickle_nesting import (
    DEEPEST,
    MOST_ITEMS,
    NestingError,
    check_nesting,
)

# A key of a dict: ((...),), a million deep; and one that holds itself twice, sixty times over.
DEEP = b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"K\x01s."
WIDE = b"\x80\x02}" + b")" + b"2\x86" * 60 + b"K\x01s."
MEMOS = b"\x80\x02}" + b")" + b"q\x01h\x01\x86" * 60 + b"K\x01s."
FROZEN = b"\x80\x04}" + b")" + b"(" * 300 + b")" + b"\x91" * 300 + b"K\x01s."


@pytest.mark.parametrize("content", [DEEP, WIDE, MEMOS, FROZEN])
def test_what_cannot_be_hashed_is_refused(content):
    with pytest.raises(NestingError):
        check_nesting(io.BytesIO(content))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_pass(protocol):
    deep = 1
    for _ in range(DEEPEST):
        deep = (deep,)
    lists = []
    for _ in range(900):
        lists = [lists, {"a": lists}]
    for content in ({deep: 1}, {tuple(range(MOST_ITEMS - 1)): 2}, [1, {"a": {2, 3}, "b": b"4"}]):
        check_nesting(io.BytesIO(pickle.dumps(content, protocol)))
    for content in ((deep,), tuple(range(MOST_ITEMS))):
        with pytest.raises(NestingError):
            check_nesting(io.BytesIO(pickle.dumps(content, protocol)))


def test_only_as_many_pickles_are_read_as_there_are():
    check_nesting(io.BytesIO(pickle.dumps(1) + pickle.dumps(2) + b"raw"), 2)
    with pytest.raises(ValueError):
        check_nesting(io.BytesIO(pickle.dumps(1) + b"raw"), 2)
    with pytest.raises(NestingError):
        check_nesting(io.BytesIO(pickle.dumps(1) + DEEP), 2)


READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6_000_000_000,) * 2)
from pathlib import Path
from promerge_core.errors import PromergeError
from promerge_core.backbones.weights import read_state_dict
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint
from fiftyone_promerge.training.checkpoints.restricted_pickle import read_weights
for path in sys.argv[1:]:
    for read in (read_state_dict, read_checkpoint, read_weights):
        try:
            read(Path(path))
        except PromergeError as error:
            print(error)
"""


def test_every_reader_refuses_them_in_one_sentence(tmp_path):
    plain = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, plain)
    paths = []
    for name, content in {"deep": DEEP, "wide": WIDE}.items():
        paths += [tmp_path / f"{name}.pkl", tmp_path / f"{name}.pth", tmp_path / f"{name}-old.pth"]
        paths[-3].write_bytes(content)
        with zipfile.ZipFile(paths[-2], "w") as archive:
            source = zipfile.ZipFile(plain)
            for entry in source.infolist():
                is_pickle = entry.filename.endswith("data.pkl")
                archive.writestr(entry.filename, content if is_pickle else source.read(entry))
        start = [torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION, {}]
        paths[-1].write_bytes(b"".join(pickle.dumps(one, 2) for one in start) + content)
    child = subprocess.run(
        [sys.executable, "-c", READ, *map(str, paths)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    lines = child.stdout.splitlines()
    assert len(lines) == 3 * len(paths)
    assert sum("nested deeper than in any checkpoint" in line for line in lines) == 14
    others = [line for line in lines if "nested" not in line]
    assert all("is not a readable checkpoint" in line for line in others)
