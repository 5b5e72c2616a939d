"""Weights are read from pickles of every kind; what asks to be executed is refused, and is not."""

import collections
import copyreg
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fiftyone_promerge.training.checkpoints.checkpoint import CheckpointError
from fiftyone_promerge.training.checkpoints.restricted_pickle import read_weights

ARRAYS = {
    "float16": np.arange(6, dtype=np.float16).reshape(2, 3),
    "float32": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "float64": np.array([np.pi]),
    "int64": np.arange(-2, 3),
    "uint8": np.arange(256, dtype=np.uint8),
    "bool": np.array([True, False, True]),
    "big_endian": np.arange(5, dtype=">f4"),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "axes_moved": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(0, 2, 1),
    "every_second": np.arange(10)[::2],
    "zero_dimensional": np.array(7),
    "scalar": np.int64(160_000),
    "float_scalar": np.float32(0.5),
}


def write(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def assert_equal(state, expected) -> None:
    assert list(state) == list(expected)
    for name, array in expected.items():
        assert state[name].shape == np.shape(array), name
        assert state[name].numpy().dtype == array.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(state[name].numpy(), array, err_msg=name)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("core", ["core", "_core"])
def test_arrays_of_every_protocol_and_numpy(tmp_path, protocol, core):
    content = {"model": ARRAYS, "__author__": "someone", "matching_heuristics": True}
    blob = pickle.dumps(content, protocol)
    old, new = (f"numpy.{name}.".encode() for name in (np._core.__name__.split(".")[1], core))
    for module in (b"multiarray", b"numeric"):
        # In protocols >= 4 the name's length stands before it, and frames have theirs.
        blob = blob.replace(_short(old + module), _short(new + module))
        blob = blob.replace(b"c" + old + module, b"c" + new + module)
    path = tmp_path / "weights.pkl"
    path.write_bytes(_without_frames(blob))
    assert new in path.read_bytes()
    assert_equal(read_weights(path), ARRAYS)


def _short(text: bytes) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text


def _without_frames(blob: bytes) -> bytes:
    if blob[1] < 4:
        return blob
    for position in range(len(blob) - 9, 1, -1):
        if blob[position] == 0x95 and blob[position + 3 : position + 9] == bytes(6):
            blob = blob[:position] + blob[position + 9 :]
    return blob


def test_a_pickle_of_python_2(tmp_path):
    """As Caffe2 wrote its models: byte strings for names and data, cPickle's memo from 1."""
    data = struct.pack("<2f", 1.5, -2.0)
    assert b"\n" not in data and b"'" not in data
    path = tmp_path / "caffe2.pkl"
    path.write_bytes(
        b"\x80\x02}q\x01U\x05blobsq\x02}q\x03U\x07conv1_wq\x04"
        b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x08U\x02f4K\x00K\x01\x87Rq\x09"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(data)])
        + data
        + b"tbss."
    )
    assert pickle.loads(path.read_bytes(), encoding="latin1")["blobs"]["conv1_w"].tolist() == [
        1.5,
        -2.0,
    ]
    assert_equal(read_weights(path), {"conv1_w": np.array([1.5, -2.0], dtype=np.float32)})


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_ordered_state_dict_with_torch_metadata(tmp_path, protocol):
    state = collections.OrderedDict(weight=np.ones(2, dtype=np.float32))
    state._metadata = collections.OrderedDict(version=1)
    path = write(tmp_path / "weights.pkl", {"model": state}, protocol)
    assert_equal(read_weights(path), {"weight": np.ones(2, dtype=np.float32)})


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["weights.pth", "weights.pkl"])
def test_a_file_of_torch_whatever_its_name(tmp_path, zipped, name):
    state = {"weight": torch.randn(2, 3), "count": torch.tensor(3)}
    content = {"model": state, "optimizer": {"lr": 0.1}, "iteration": 4}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=zipped)
    read = read_weights(tmp_path / name)
    assert list(read) == list(state)
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_a_tensor_is_not_the_file_s_memory(tmp_path):
    path = write(tmp_path / "weights.pkl", {"a": np.zeros(2, dtype=np.float32)})
    read_weights(path)["a"].add_(1)
    assert read_weights(path)["a"].tolist() == [0, 0]


class Reduced:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _protocol_4(module: str, name: str, argument: str) -> bytes:
    """`module.name(argument)` by STACK_GLOBAL, which follows dots in the name."""
    texts = [text.encode() for text in (module, name, argument)]
    return (
        b"\x80\x04" + _short(texts[0]) + _short(texts[1]) + b"\x93" + _short(texts[2]) + b"\x85R."
    )


def _attacks(target: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that create the file `target` when they are executed, and the name each asks for."""
    shell, python = f"echo > {target}", f"open({str(target)!r}, 'w')"
    executed = pickle.dumps(Reduced(os.system, shell))
    buffer = io.BytesIO()
    torch.save({"model": Reduced(os.system, shell)}, buffer)
    state = {"model": {"weight": np.zeros(2), "bias": Reduced(os.system, shell)}}
    return {
        "os.system": (executed, "posix.system"),
        "os.system in a state dict": (pickle.dumps(state, 5), "posix.system"),
        "eval": (pickle.dumps(Reduced(eval, python), 0), "__builtin__.eval"),
        "exec, protocol 4": (pickle.dumps(Reduced(exec, python), 4), "builtins.exec"),
        "getattr of getattr": (
            pickle.dumps(Reduced(getattr, Reduced(getattr, open, "__self__"), "exec"), 4),
            "builtins.getattr",
        ),
        "__import__": (pickle.dumps(Reduced(__import__, "this"), 2), "__builtin__.__import__"),
        "a second torch.load": (
            pickle.dumps(Reduced(torch.storage._load_from_bytes, buffer.getvalue())),
            "torch.storage._load_from_bytes",
        ),
        "numpy.load": (pickle.dumps(Reduced(np.load, str(target))), "numpy.load"),
        "numpy's tofile": (_protocol_4("numpy", "ndarray.tofile", str(target)), "ndarray.tofile"),
        "numpy's own imports": (
            _protocol_4("numpy", "core.os.system", shell),
            "numpy.core.os.system",
        ),
        "an admitted name's attribute": (
            _protocol_4("collections", "OrderedDict.__init__.__globals__", shell),
            "OrderedDict.__init__.__globals__",
        ),
        "an admitted module's import": (_protocol_4("collections", "_sys", shell), "_sys"),
        "OrderedDict's module": (_protocol_4("_codecs", "lookup", shell), "_codecs.lookup"),
        "INST": (b"(S" + repr(shell).encode() + b"\nios\nsystem\n.", "os.system"),
        "OBJ": (b"(cos\nsystem\nS" + repr(shell).encode() + b"\no.", "os.system"),
        "NEWOBJ_EX": (b"\x80\x04cbuiltins\nmemoryview\n)}\x92.", "builtins.memoryview"),
        "copyreg": (
            pickle.dumps(Reduced(copyreg._reconstructor, object, object, None), 0),
            "copy_reg._reconstructor",
        ),
        "after the array": (
            pickle.dumps({"model": {"a": np.zeros(2)}}, 2)[:-1] + b"0" + executed[2:],
            "posix.system",
        ),
    }


@pytest.mark.parametrize("name", _attacks(Path("target")))
def test_a_malicious_pickle_is_refused_and_never_runs(tmp_path, name):
    target = tmp_path / "created"
    blob, asked = _attacks(target)[name]
    path = tmp_path / "weights.pkl"
    path.write_bytes(blob)
    with pytest.raises(CheckpointError, match="refused") as caught:
        read_weights(path)
    message = str(caught.value)
    assert asked in message and str(path) in message and "\n" not in message
    assert not target.exists()


def test_the_attacks_are_real(tmp_path):
    """What the tests above refuse does create the file when an ordinary unpickler reads it."""
    for name in ("os.system", "os.system in a state dict", "eval", "exec, protocol 4", "INST"):
        target = tmp_path / f"created by {name}".replace(" ", "_")
        pickle.loads(_attacks(target)[name][0])
        assert target.exists(), name


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_file_of_torch_is_refused_and_never_runs(tmp_path, zipped):
    target, path = tmp_path / "created", tmp_path / "weights.pth"
    content = {"model": {"weight": torch.ones(2), "x": Reduced(os.system, f"echo > {target}")}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        CheckpointError, match=r"asks for 'posix.system'.*nothing in it was executed"
    ):
        read_weights(path)
    assert not target.exists()


def test_a_registered_extension_is_refused(tmp_path):
    target, path = tmp_path / "created", tmp_path / "weights.pkl"
    copyreg.add_extension("posix", "system", 241)
    try:
        blob = pickle.dumps(Reduced(os.system, "true"), 2)
        assert b"\x82\xf1" in blob
        pickle.loads(blob)  # the function is cached now, and find_class is no longer asked
        path.write_bytes(pickle.dumps(Reduced(os.system, f"echo > {target}"), 2))
        with pytest.raises(CheckpointError, match="copyreg extension 241"):
            read_weights(path)
    finally:
        copyreg.remove_extension("posix", "system", 241)
    assert not target.exists()


@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_of_objects_are_refused(tmp_path, protocol):
    target = tmp_path / "created"
    array = np.array([1, None], dtype=object)
    path = write(tmp_path / "plain.pkl", {"model": {"weight": array}}, protocol)
    with pytest.raises(CheckpointError, match="'weight' is not the name of an array of numbers"):
        read_weights(path)
    array[0] = Reduced(os.system, f"echo > {target}")
    path = write(tmp_path / "malicious.pkl", {"model": {"weight": array}}, protocol)
    with pytest.raises(CheckpointError, match=r"posix\.system"):
        read_weights(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "value",
    [
        np.array(["text"]),
        np.array([b"bytes"]),
        np.zeros(2, dtype=[("x", "f4")]),
        np.array([1 + 2j]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        "text",
        None,
        {"deeper": np.zeros(2)},
    ],
    ids=str,
)
def test_anything_but_numbers_is_refused(tmp_path, value):
    path = write(tmp_path / "weights.pkl", {"model": {"weight": value}})
    with pytest.raises(CheckpointError, match="'weight' is not the name of an array of numbers"):
        read_weights(path)


@pytest.mark.parametrize("name", ["pickle", "zip", "legacy"])
def test_a_file_cut_anywhere_is_refused_in_one_sentence(tmp_path, name):
    whole = tmp_path / "whole"
    if name == "pickle":
        write(whole, {"model": {"weight": np.arange(40, dtype=np.float32)}}, 4)
    else:
        state = {"weight": torch.arange(40.0)}
        torch.save(state, whole, _use_new_zipfile_serialization=name == "zip")
    blob, path = whole.read_bytes(), tmp_path / "cut"
    for length in range(0, len(blob), max(1, len(blob) // 60)):
        path.write_bytes(blob[:length])
        with pytest.raises(CheckpointError) as caught:
            read_weights(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "blob",
    [
        b"\x80\x04B\xff\xff\xff\x7f.",  # BINBYTES of 2 GB
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b".",  # BINBYTES8 of 4 EB
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",  # BYTEARRAY8 of 1 TB
        b"\x80\x02\x8b\xff\xff\xff\x7f.",  # LONG4 of 2 GB
        b"\x80\x02}r\xff\xff\xff\x7f.",  # a memo of 2**31 entries
        b"}p999999999999\n.",
    ],
)
def test_sizes_beyond_the_file_are_refused_before_memory_is_taken(tmp_path, blob):
    path = tmp_path / "weights.pkl"
    path.write_bytes(blob)
    with pytest.raises(CheckpointError, match="neither a whole pickle nor a checkpoint"):
        read_weights(path)


def test_an_array_larger_than_its_data_is_refused(tmp_path):
    blob = pickle.dumps({"model": {"weight": np.zeros(7, dtype=np.uint8)}}, 2)
    assert blob.count(b"K\x07\x85") == 1
    path = tmp_path / "weights.pkl"
    path.write_bytes(blob.replace(b"K\x07\x85", b"J\xff\xff\xff\x7f\x85"))
    with pytest.raises(CheckpointError, match="'weight' is not the name of an array of numbers"):
        read_weights(path)


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "neither a whole pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "neither a whole pickle"),
        (b"<!DOCTYPE html><html></html>", "neither a whole pickle"),
        (bytes(range(256)), "neither a whole pickle"),
        (b".", "damaged"),
        (b"0.", "damaged"),
        (pickle.dumps([1, 2]), "holds no state dict"),
        (pickle.dumps({}), "holds no state dict"),
        (pickle.dumps({1: np.zeros(2)}), "1 is not the name"),
    ],
)
def test_other_files_get_one_sentence(tmp_path, blob, message):
    path = tmp_path / "weights.pkl"
    path.write_bytes(blob)
    with pytest.raises(CheckpointError, match=message):
        read_weights(path)


def test_missing_files_folders_and_other_archives(tmp_path):
    with pytest.raises(CheckpointError, match=r"missing\.pkl cannot be read: No such file"):
        read_weights(tmp_path / "missing.pkl")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        read_weights(tmp_path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(CheckpointError, match="zip archive, but not a checkpoint"):
        read_weights(tmp_path / "other.zip")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(CheckpointError, match="compressed archive"):
        read_weights(tmp_path / "bomb.pth")


class Settings:
    """Stands in a training checkpoint beside its weights."""


@pytest.mark.parametrize("writer", ["pickle", "zip", "legacy"])
def test_numbers_of_numpy_beside_the_weights_are_left_out(tmp_path, writer):
    path = tmp_path / "weights.pth"
    weight = np.ones(2, dtype=np.float32)
    rest = {"iteration": np.int64(89_999), "best_metric": np.float64(0.5)}
    if writer == "pickle":
        write(path, {"model": {"weight": weight}, **rest}, 4)
    else:
        content = {"model": {"weight": torch.from_numpy(weight)}, **rest}
        torch.save(content, path, _use_new_zipfile_serialization=writer == "zip")
    assert_equal(read_weights(path), {"weight": weight})


@pytest.mark.parametrize("writer", ["pickle", "zip"])
def test_what_stands_beside_the_weights_is_neither_imported_nor_run(tmp_path, writer):
    path, target = tmp_path / "weights.pth", tmp_path / "created"
    code = Reduced(eval, f"open({str(target)!r}, 'w')")
    content = {"settings": Settings(), "hook": code, "calls": [code]}
    if writer == "pickle":
        write(path, {"model": {"weight": np.ones(2)}, **content}, 4)
    else:
        torch.save({"model": {"weight": torch.ones(2)}, **content}, path)
    assert read_weights(path)["weight"].tolist() == [1, 1]
    assert not target.exists()


def test_data_that_is_named_again_and_again_takes_no_memory(tmp_path):
    """As many arrays as wanted may refer to the same bytes; each would be copied."""
    data = bytes(1 << 20)
    path = tmp_path / "weights.pkl"
    shared = {
        f"w{i}": Reduced(np._core.multiarray.scalar, np.dtype("V1048576"), data)
        for i in range(5000)
    }
    write(path, {"model": shared}, 4)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(CheckpointError, match="asks for arrays of more data than it holds"):
        read_weights(path)


def test_an_array_under_two_names_takes_its_memory_once(tmp_path):
    tied = np.ones(4, np.float32)
    path = write(tmp_path / "weights.pkl", {"model": {"a": tied, "b": tied}}, 4)
    assert_equal(read_weights(path), {"a": tied, "b": tied})
    path = write(tmp_path / "many.pkl", {"model": dict.fromkeys(map(str, range(500)), tied)}, 4)
    assert len({tensor.data_ptr() for tensor in read_weights(path).values()}) == 1


@pytest.mark.timeout(30)
def test_what_is_no_regular_file_is_never_read(tmp_path):
    os.mkfifo(tmp_path / "fifo.pth")
    for path, kind in ((tmp_path / "fifo.pth", "a FIFO"), (Path("/dev/zero"), "a device")):
        with pytest.raises(CheckpointError, match=f"{path} cannot be read: it is {kind}"):
            read_weights(path)


def test_a_file_larger_than_the_memory_is_refused_unread(tmp_path):
    path = tmp_path / "weights.pkl"
    with path.open("wb") as file:
        file.write(b"c")
        file.truncate(1 << 42)
    with pytest.raises(CheckpointError, match="GB of memory are free"):
        read_weights(path)
