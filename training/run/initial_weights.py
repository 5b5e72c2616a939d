"""Where the initial weights of a run come from: a file, a download, or nowhere."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import torch
from safetensors.torch import save_file

from fiftyone_promerge.training.engines.base import TrainingError
from promerge_core.registry import TIMM_PREFIX

DINO_URL = "https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth"
_ON_DINO = ("mask_rcnn", "cascade_mask_rcnn")


def has_pretrained(architecture: str) -> bool:
    """Whether somebody publishes weights that a detector of an architecture can begin with."""
    return architecture in _ON_DINO or architecture.startswith(TIMM_PREFIX)


def find_weights(weights: str | Path | None, architecture: str, norm: str = "batch") -> str | None:
    """Path of the initial weights; those of the hub are downloaded once. None is random.

    Args:
        weights: a file, `random`, or `pretrained`: DINO's for a ResNet-50, timm's own for a
            ConvNet of timm. None is `pretrained` where there are such weights, else `random`.
        architecture: the detector that they are for.
        norm: the recipe's; with a frozen one the weights cannot be random.

    Returns:
        the path, absolute.

    Raises:
        TrainingError: there is no such file, it cannot be downloaded, or the norm needs it.
    """
    if weights == "pretrained" and not has_pretrained(architecture):
        raise TrainingError(
            f"there are no pretrained weights for {architecture}; pass a file with --weights FILE "
            f"(weights=FILE in Python), or train from --weights random"
        )
    if weights == "random" or (weights is None and not has_pretrained(architecture)):
        if norm == "frozen":
            raise TrainingError(
                "the recipe's norm is frozen, which random weights have not been trained with; "
                "pass a file with --weights FILE (weights=FILE in Python), or choose another norm"
            )
        return None
    if weights not in (None, "pretrained"):
        if not Path(weights).is_file():
            raise TrainingError(f"there is no weights file at {weights}")
        return str(Path(weights).resolve())
    folder = Path(torch.hub.get_dir(), "checkpoints")
    if architecture in _ON_DINO:
        return str(_dino(folder / Path(DINO_URL).name))
    return str(_timms(architecture.removeprefix(TIMM_PREFIX), folder))


def _dino(path: Path) -> Path:
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(DINO_URL, str(path), progress=False)
    except (OSError, urllib.error.URLError) as error:
        raise TrainingError(
            f"DINO's ResNet-50 could not be downloaded; bring {path.name} ({DINO_URL}) and "
            f"pass it with --weights FILE (weights=FILE in Python), or train from "
            f"--weights random"
        ) from error
    return path


def _timms(name: str, folder: Path) -> Path:
    """The weights that timm has of a model, as a file beside other downloads."""
    import timm

    path = folder / f"timm_{name}.safetensors"
    if path.exists():
        return path
    try:
        model = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            f"timm's weights of {name} could not be downloaded; bring its state dict as .pth or "
            f".safetensors and pass it with --weights FILE (weights=FILE in Python), or train "
            f"from --weights random"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path.with_suffix(".partial"))
    return path.with_suffix(".partial").replace(path)
