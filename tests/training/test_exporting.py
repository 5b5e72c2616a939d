"""A detector as ONNX finds what it finds in PyTorch."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torchvision.models.detection.transform import resize_boxes

from fiftyone_promerge.training import export_detector, load
from fiftyone_promerge.training.checkpoints.checkpoint import read_checkpoint, save_checkpoint
from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.engines.torchvision.model import MaskRCNN
from promerge_core import MissingExtraError, PromergeError

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "shared" / "coco_sample" / "val2017"
if not PHOTOS.exists():
    PHOTOS = ROOT.parent / "shared" / "coco_sample" / "val2017"


@pytest.fixture(scope="module")
def trained(train_undisturbed):
    """The largest detector, in place of the one that other tests are content with."""
    return train_undisturbed(architecture="mask_rcnn")


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
    Path("detector.onnx").symlink_to(exported)
    cv2.imwrite("photo.png", photo[:, :, ::-1])
    names: dict = {}
    exec(code, names)
    return names


def open_session(path):
    """One thread: those of a session wait in circles, which is slow where cores are shared."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def draw(height, width):
    """Noise with a red box."""
    photo = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    photo[10:30, 12:40] = (250, 20, 20)
    return photo


def assert_same_outputs(session, detector, photo):
    """Compares what the file and PyTorch give for a photo, before masks are pasted."""
    found = session.run(None, {"image": photo})
    model = detector.model
    with torch.inference_mode():
        pixels = torch.tensor(photo).movedim(2, 0) / 255
        images, _ = model.transform([pixels])
        features = model.backbone(images.tensors)
        proposals, _ = model.rpn(images, features)
        (ours,), _ = model.roi_heads(features, proposals, images.image_sizes)
        boxes = resize_boxes(ours["boxes"], images.image_sizes[0], photo.shape[:2])
    scores, masks = ours["scores"], ours["masks"][:, 0]
    assert len(scores) > 0
    for one, other, atol in zip(found, (boxes, scores, masks), (0.05, 1e-4, 1e-3), strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=atol)


@pytest.mark.parametrize("size", [(64, 64), (50, 90), (131, 47)])
def test_the_documented_example_gives_the_detectors_masks(
    trained, exported, tmp_path, monkeypatch, size
):
    photo = draw(*size)
    (masks,) = load(trained[0], torch.device("cpu")).predict([photo])
    found = run_example(exported, photo, tmp_path, monkeypatch)
    np.testing.assert_allclose(found["scores"], [mask.score for mask in masks], atol=1e-4)
    for index, mask in enumerate(masks):
        pixels = found["paste"](found["masks"][index], found["boxes"][index])
        assert (pixels != mask.to_array()).sum() <= 2 + 0.01 * mask.area


@pytest.mark.parametrize("architecture", ["mask_rcnn_small", "timm:resnet10t"])
def test_other_architectures(records, run, tmp_path, architecture):
    checkpoint = run(records, tmp_path / "run", architecture=architecture)
    path = export_detector(checkpoint, tmp_path / "detector.onnx")
    session = open_session(path)
    for size in [(64, 64), (50, 90), (131, 47)]:
        assert_same_outputs(session, load(checkpoint, torch.device("cpu")), draw(*size))


def test_a_detector_of_classes_gives_labels_and_their_names(tiny_recipe, trained, tmp_path):
    torch.manual_seed(0)
    labelling = Labelling(("cat", "mug"))
    model = MaskRCNN(tiny_recipe, tiny_recipe.rounds[0], labelling=labelling).state_dict()
    values = dataclasses.replace(read_checkpoint(trained[0]), model=model, labelling=labelling)
    save_checkpoint(tmp_path / "named.pt", values)
    session = open_session(export_detector(tmp_path / "named.pt", tmp_path / "named.onnx"))
    names = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    photo = draw(50, 90)
    *_, labels = session.run(["boxes", "scores", "masks", "labels"], {"image": photo})
    (masks,) = load(tmp_path / "named.pt", torch.device("cpu")).predict([photo])
    assert [names[label] for label in labels] == [mask.label for mask in masks]
    assert {mask.label for mask in masks} == {"cat", "mug"}


@pytest.mark.skipif(not PHOTOS.exists(), reason="the COCO sample is not here")
def test_twenty_photos(trained, exported):
    detector = load(trained[0], torch.device("cpu"))
    session = open_session(exported)
    paths = sorted(PHOTOS.glob("*.jpg"))[:20]
    assert len(paths) == 20
    for path in paths:
        assert_same_outputs(session, detector, np.asarray(Image.open(path).convert("RGB")))


def test_what_cannot_be_exported_is_one_sentence(trained, exported, tmp_path, monkeypatch):
    other = tmp_path / "other.pt"
    save_checkpoint(other, dataclasses.replace(read_checkpoint(trained[0]), engine="detectron2"))
    for checkpoint, path, said in [
        (trained[0], exported, "exists already"),
        (trained[0], tmp_path / "no" / "such.onnx", "there is no folder"),
        (trained[0], tmp_path, "is a folder"),
        (other, tmp_path / "x.onnx", "only those of torchvision can be written as ONNX"),
        (tmp_path / "gone.pt", tmp_path / "x.onnx", "no checkpoint at"),
    ]:
        with pytest.raises(PromergeError, match=said):
            export_detector(checkpoint, path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"fiftyone-promerge\[onnx\]"):
        export_detector(trained[0], tmp_path / "x.onnx")
    assert not [*tmp_path.glob("*.onnx*")]
