"""Initial weights are a file, a download, or random."""

from __future__ import annotations

import pytest
import torch

from fiftyone_promerge.training import TrainingError
from fiftyone_promerge.training.run.initial_weights import DINO_URL, find_weights


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder that downloads go to."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_initial_weights_are_a_file_or_random_or_dinos(tmp_path, monkeypatch):
    assert find_weights("random", "mask_rcnn") is None
    (tmp_path / "w.pth").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert find_weights("w.pth", "mask_rcnn") == str(tmp_path / "w.pth")
    with pytest.raises(TrainingError, match="there is no weights file at none"):
        find_weights("none", "mask_rcnn")


@pytest.mark.parametrize("weights", [None, "pretrained"])
def test_what_is_there_is_not_downloaded(hub, weights):
    dino, timms = hub / DINO_URL.rpartition("/")[2], hub / "timm_resnet10t.safetensors"
    for path in (dino, timms):
        torch.save({}, path)
    for architecture in ("mask_rcnn", "cascade_mask_rcnn"):
        assert find_weights(weights, architecture) == str(dino)
    assert find_weights(weights, "timm:resnet10t") == str(timms)


def test_the_small_detector_has_no_pretrained_weights():
    assert find_weights(None, "mask_rcnn_small") is None
    with pytest.raises(TrainingError, match="no pretrained weights for mask_rcnn_small; pass a"):
        find_weights("pretrained", "mask_rcnn_small")


def test_a_frozen_norm_is_not_trained_from_random_weights(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"")
    for weights, architecture in (("random", "mask_rcnn"), (None, "mask_rcnn_small")):
        with pytest.raises(TrainingError, match="norm is frozen, which random weights have not"):
            find_weights(weights, architecture, "frozen")
    assert find_weights(tmp_path / "w.pth", "mask_rcnn", "frozen")


def test_weights_that_cannot_be_downloaded_are_one_sentence(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TrainingError, match="could not be downloaded; bring its state dict") as got:
        find_weights(None, "timm:efficientnet_b0")
    assert "\n" not in str(got.value)
    assert list(hub.iterdir()) == []
