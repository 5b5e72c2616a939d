"""The models of `manifest.json`, as FiftyOne's model zoo downloads and loads them.

FiftyOne runs this file by its path, again each time, even where nothing is installed. So it defines
no class, which a worker process would have to import.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fiftyone.operators import types

    from fiftyone_promerge.models.promerge import ProMergeModel

if importlib.util.find_spec("fiftyone_promerge") is None:
    sys.path.append(str(Path(__file__).resolve().parents[1] / "_site"))

# The name of each model: the method, and the backbone.
MODELS = {
    "promerge-dino-vitb8": ("promerge", "dino_vitb8"),
    "promerge-dino-vits8": ("promerge", "dino_vits8"),
    "promerge-embedded": ("promerge", "embedded"),
    "maskcut-dino-vitb8": ("maskcut", "dino_vitb8"),
}


def download_model(model_name: str, model_path: str) -> None:
    """Downloads the weights of a model's backbone from timm's hub.

    For a backbone without weights it makes an empty file, which tells FiftyOne that nothing is
    left to download.

    Args:
        model_name: the name in `manifest.json`.
        model_path: the file to write.

    Raises:
        BackboneError: the hub cannot be reached; the message says which file to bring.
    """
    from promerge_core.backbones.loading import download_weights

    download_weights(MODELS[model_name][1], model_path)


def load_model(model_name: str, model_path: str, **kwargs: Any) -> ProMergeModel:
    """Loads a model.

    Args:
        model_name: the name in `manifest.json`.
        model_path: the weights that `download_model` wrote.
        **kwargs: `device`, `dtype` and parameters of the method, as in
            `fiftyone_promerge.load_model`.

    Returns:
        the model, for `dataset.apply_model`.
    """
    import fiftyone_promerge
    from promerge_core.registry import BACKBONES

    method, backbone = MODELS[model_name]
    weights = model_path if BACKBONES[backbone].needs_weights else None
    return fiftyone_promerge.load_model(backbone, method, weights=weights, **kwargs)


def resolve_input(model_name: str, ctx: Any) -> types.Property:
    """The parameters of a model's method as a form.

    Args:
        model_name: the name in `manifest.json`.
        ctx: the context of FiftyOne's operator that asks for them.

    Returns:
        the form, with every given value checked.
    """
    from fiftyone.operators import types

    from fiftyone_promerge.inputs import ask
    from promerge_core.registry import METHODS

    method, _ = MODELS[model_name]
    inputs = types.Object()
    for one in METHODS[method].config.parameters():
        ask(inputs, one, ctx.params.get(one.name))
    return types.Property(inputs, view=types.View(label=model_name))
