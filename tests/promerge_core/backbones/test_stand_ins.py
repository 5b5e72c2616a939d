"""What stands for the names in a weights file does nothing but write down what it says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from promerge_core.backbones.stand_ins import NUMPY, Array, Dtype, Foreign, foreign


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        return NUMPY.get(f"{module}.{name}") or foreign(f"{module}.{name}")


def read(value, protocol, tmp_path):
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    with path.open("rb") as file:
        return Unpickler(file).load()


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    "value",
    [np.float64(0.25), np.int32(-3), np.bool_(True), np.arange(6.0).reshape(2, 3), np.eye(3).T],
    ids=repr,
)
def test_numbers_and_arrays_come_back(tmp_path, protocol, value):
    found = read({"best_metric": value}, protocol, tmp_path)["best_metric"]
    assert isinstance(found, Array)
    assert found.nbytes == value.nbytes
    assert found.tensor.numpy().dtype == value.dtype
    np.testing.assert_array_equal(found.tensor.numpy(), value)


@pytest.mark.parametrize("value", [np.datetime64("2026-01-01"), np.str_("x"), np.complex64(1j)])
def test_scalars_of_other_kinds_are_read_and_have_no_tensor(tmp_path, value):
    found = read([value], 4, tmp_path)[0]
    with pytest.raises(TypeError, match="values of dtype"):
        assert found.tensor


def test_an_array_that_never_gets_its_values_has_none():
    with pytest.raises(AttributeError):
        assert Array().tensor
    with pytest.raises(TypeError, match="data of type int"):
        Array().__setstate__((1, (10**9,), Dtype("f4"), False, 10**9))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [slice(1), range(3), bytearray(b"x")], ids=repr)
def test_every_other_name_is_a_thing_that_does_nothing(tmp_path, value, protocol):
    found = read({"a": value, "list": [value, 3]}, protocol, tmp_path)
    if not isinstance(found["a"], bytearray):  # protocol 5 has an instruction for it
        assert isinstance(found["a"], Foreign)
        assert found["a"].name.split(".")[-1] == type(value).__name__ or "." in found["a"].name
    assert found["list"][1] == 3


def test_what_an_array_of_objects_names_is_found(tmp_path):
    found = read(np.array([1, slice(2)], dtype=object), 4, tmp_path)
    assert [one.name for one in found.foreign] == ["builtins.slice"]
    assert read(np.zeros(2), 4, tmp_path).foreign == []


def test_a_stand_in_takes_what_a_pickle_does_to_it():
    stand_in = foreign("some.Thing")(1, key=2)
    stand_in.append(1)
    stand_in.extend([2, 3])
    stand_in["a"] = 4
    stand_in.__setstate__({"b": 5})
    assert vars(stand_in) == {}
    assert stand_in.name == "some.Thing"
