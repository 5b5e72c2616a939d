"""Backbones by name: which are known, what is refused, what is downloaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from promerge_core import BackboneError, load_backbone
from promerge_core.backbones.loading import check_backbone
from promerge_core.registry import BACKBONES


def test_backbone_is_frozen(small_file, load_small):
    backbone = load_small(small_file)
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize("name", ["dino_vitb14", "", "vit_tiny_patch16_224", "DINO_VITB8"])
def test_unknown_backbone_lists_the_known_ones(name):
    with pytest.raises(BackboneError, match=", ".join(BACKBONES)):
        load_backbone(name, "cpu")


def test_unknown_timm_model_is_named():
    with pytest.raises(BackboneError, match="timm has no model 'vit_nothing'"):
        load_backbone("timm:vit_nothing", "cpu")


def test_embedded_takes_no_weights(small_file):
    with pytest.raises(BackboneError, match="takes no weights"):
        load_backbone("embedded", weights=small_file)


def test_without_the_hub_the_error_names_the_file_to_bring_and_the_flag(tmp_path):
    code = (
        "from promerge_core import BackboneError, load_backbone\n"
        "for name in ('dino_vits16', 'timm:vit_tiny_patch16_224'):\n"
        "    try:\n"
        "        load_backbone(name, 'cpu')\n"
        "    except BackboneError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    dino, other = done.stdout.splitlines()
    assert dino.startswith("the pretrained weights of dino_vits16 could not be downloaded")
    assert "dino_deitsmall16_pretrain.pth (https://dl.fbaipublicfiles.com/dino/" in dino
    assert other.startswith("the pretrained weights of timm:vit_tiny_patch16_224 could not be")
    assert "Bring its state dict as .pth or .safetensors" in other
    assert all("--weights FILE" in message for message in (dino, other))


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.nope", "vit_giant_patch14_224"])
def test_a_model_without_pretrained_weights_is_not_blamed_on_the_hub(name):
    with pytest.raises(BackboneError) as error:
        load_backbone(f"timm:{name}", "cpu")
    assert "hub cannot be reached" not in str(error.value)
    assert name in str(error.value)
    assert "--weights FILE" in str(error.value)


@pytest.mark.parametrize("name", ["dino_vits16", "embedded"])
def test_a_name_and_a_file_are_checked_in_no_time(tmp_path, name):
    entry = check_backbone(name)
    assert entry is BACKBONES[name]
    with pytest.raises(BackboneError, match="no weights file" if entry.needs_weights else "takes"):
        check_backbone(name, tmp_path / "none.pth")


def test_a_download_is_whole_or_not_there_and_empty_where_no_weights_are_needed(tmp_path):
    code = (
        "from promerge_core import BackboneError\n"
        "from promerge_core.backbones.loading import download_weights\n"
        "download_weights('embedded', 'none.safetensors')\n"
        "try:\n"
        "    download_weights('dino_vits16', 'small.safetensors')\n"
        "except BackboneError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("the pretrained weights of dino_vits16 could not be downloaded")
    files = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert files == ["none.safetensors"]
    assert (tmp_path / "none.safetensors").stat().st_size == 0
