"""ProMerge as a FiftyOne model, for `dataset.apply_model`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fiftyone_promerge.provenance import run_record
from promerge_core import ImageMasks, MaskGenerator, load_backbone
from promerge_core.registry import METHODS, method_config

from .mask_model import MaskModel


class ProMergeModel(MaskModel):
    """Instance masks without labels; see `MaskModel`.

    Use it with `dataset.apply_model(model, label_field="promerge", batch_size=8, num_workers=4)`.

    Args:
        generator: makes the masks.
        name: the method's name.
        weights: the weights file, for the record.
    """

    def __init__(
        self, generator: MaskGenerator, name: str = "promerge", weights: str | None = None
    ) -> None:
        super().__init__()
        self.generator = generator
        self.name = name
        self.weights = weights
        self.config = generator.config
        self.prepare = generator.preparation

    def __enter__(self) -> ProMergeModel:
        self.generator.timer.reset()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.summary.seconds = dict(self.generator.timer.seconds)
        super().__exit__(*error)

    def predict_prepared(self, images: list[Any]) -> list[ImageMasks]:
        """See `promerge_core.MaskGenerator.generate_prepared`."""
        embeddings = bool(self.options.get("embeddings"))
        return self.generator.generate_prepared(images, embeddings=embeddings)

    def record(self) -> dict[str, Any]:
        """What makes the masks, ready for JSON: method, backbone, weights and parameters."""
        return run_record(self.name, self.generator.backbone.name, self.weights, self.config)


def load_model(
    backbone: str = "dino_vitb8",
    method: str = "promerge",
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    **config: Any,
) -> ProMergeModel:
    """Loads a model for `dataset.apply_model`.

    Args:
        backbone: see `promerge_core.load_backbone`.
        method: `promerge`, or the baseline `maskcut`.
        weights: a local state dict for the backbone; None downloads the pretrained one.
        device: `auto`, or a torch device.
        dtype: `auto`, `float32`, `bfloat16` or `float16`.
        **config: parameters of the method, see `promerge_core.ProMergeConfig` and
            `promerge_core.MaskCutConfig`; and `preset`, whose values hold where none is given.

    Returns:
        a FiftyOne model, also for `generate_masks`.

    Raises:
        ConfigError: the method or a parameter is unknown, or a parameter is out of its range.
        BackboneError: see `promerge_core.load_backbone`.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240, affinity_threshold=0.3)
        >>> photos.apply_model(model, label_field="promerge", batch_size=8)
        >>> photos.count("promerge.detections")
        5
    """
    parameters = method_config(method, config)
    loaded = load_backbone(backbone, device=device, dtype=dtype, weights=weights)
    generator = METHODS[method].load()(loaded, parameters)
    model = ProMergeModel(generator, method, None if weights is None else str(weights))
    model.options = {"device": str(device), "dtype": dtype}
    return model
