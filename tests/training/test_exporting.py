"""A detector as ONNX finds what it finds in PyTorch."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from fiftyone_promerge.training import export_detector, load
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint, save_checkpoint
from promerge_core import MissingExtraError, PromergeError

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "shared" / "coco_sample" / "val2017"
if not PHOTOS.exists():
    PHOTOS = ROOT.parent / "shared" / "coco_sample" / "val2017"


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The drawn images' detector as ONNX."""
    return export_detector(trained[0], tmp_path_factory.mktemp("onnx") / "detector.onnx")


def run_example(exported, photo, folder, monkeypatch):
    """What the documentation's example makes of a photo."""
    page = (ROOT / "docs" / "training.md").read_text()
    (code,) = [
        one for one in re.findall(r"```python\n(.*?)```", page, re.S) if "onnxruntime" in one
    ]
    monkeypatch.chdir(folder)
    Path("detector.onnx").write_bytes(exported.read_bytes())
    cv2.imwrite("photo.png", photo[:, :, ::-1])
    names: dict = {}
    exec(code, names)
    return names


def assert_same(found, masks):
    """Compares the example's names with a detector's masks of the same image."""
    assert np.allclose(found["scores"], [mask.score for mask in masks], atol=1e-3)
    assert (np.diff(found["scores"]) <= 1e-4).all()
    assert found["boxes"].shape == (len(masks), 4) and found["masks"].shape[1:] == (28, 28)
    for index, mask in enumerate(masks):
        pixels = found["paste"](found["masks"][index], found["boxes"][index])
        differing = (pixels != mask.to_array()).sum()
        assert differing <= 2 + 0.01 * mask.area


@pytest.mark.parametrize("size", [(64, 64), (50, 90), (131, 47)])
def test_images_of_any_size(trained, exported, tmp_path, monkeypatch, size):
    photo = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    photo[10:30, 12:40] = (250, 20, 20)
    (masks,) = load(trained[0], torch.device("cpu")).predict([photo])
    assert_same(run_example(exported, photo, tmp_path, monkeypatch), masks)


@pytest.mark.skipif(not PHOTOS.exists(), reason="the COCO sample is not here")
def test_twenty_photos(trained, exported, tmp_path, monkeypatch):
    detector = load(trained[0], torch.device("cpu"))
    paths = sorted(PHOTOS.glob("*.jpg"))[:20]
    assert len(paths) == 20
    for path in paths:
        photo = np.asarray(Image.open(path).convert("RGB"))
        found = run_example(exported, photo, tmp_path, monkeypatch)
        assert_same(found, detector.predict([photo])[0])


def test_what_cannot_be_exported_is_one_sentence(trained, exported, tmp_path, monkeypatch):
    other = tmp_path / "other.pt"
    save_checkpoint(other, dataclasses.replace(read_checkpoint(trained[0]), engine="detectron2"))
    for checkpoint, path, said in [
        (trained[0], exported, "exists already"),
        (trained[0], tmp_path / "no" / "such.onnx", "there is no folder"),
        (other, tmp_path / "x.onnx", "only those of torchvision can be written as ONNX"),
        (tmp_path / "gone.pt", tmp_path / "x.onnx", "no checkpoint at"),
    ]:
        with pytest.raises(PromergeError, match=said):
            export_detector(checkpoint, path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"fiftyone-promerge\[onnx\]"):
        export_detector(trained[0], tmp_path / "x.onnx")
    assert not [*tmp_path.glob("*.onnx*")]
