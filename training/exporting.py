"""A trained detector as an ONNX file, for programs without PyTorch."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import resize_boxes

from fiftyone_promerge.training.checkpoints.checkpoint import CheckpointError, read_checkpoint
from fiftyone_promerge.training.engines.base import find_engine
from promerge_core import MissingExtraError
from promerge_core.runs.outputs import check_new_file

OPSET = 17
"""Version of ONNX's operators that the file uses."""

_EXAMPLE = (240, 320)  # pixels; images of any size can follow


def export_detector(checkpoint: str | Path, path: str | Path, *, overwrite: bool = False) -> Path:
    """Writes a detector of the engine torchvision as ONNX.

    The file's input `image` is uint8 [height, width, 3], RGB, of any size; it is resized inside.
    Its outputs are `boxes`, float32 [N, 4], xyxy in pixels of the image, `scores`, float32 [N] in
    [0, 1], best first, and `masks`, float32 [N, 28, 28], the probability of each cell of the box;
    N is at most 100. A detector of several classes also gives `labels`, int64 [N]: places in the
    list of names, JSON, that stands under `classes` in the file's metadata.

    Args:
        checkpoint: what `train_detector` wrote, `detector.pt`.
        path: the file to write.
        overwrite: whether one that is there may be replaced.

    Returns:
        the file.

    Raises:
        CheckpointError: it cannot be read, or is a detector of another engine.
        MissingExtraError: onnx is not installed.
        RunError: the file is there already, or cannot be written.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> fop.export_detector("run/round_0/detector.pt", "detector.onnx").name
        'detector.onnx'
    """
    try:
        import onnx  # what torch writes the file with
    except ImportError as error:
        raise MissingExtraError(
            "the export needs another package: pip install 'fiftyone-promerge[onnx]'"
        ) from error
    output = Path(path)
    check_new_file(output, overwrite)
    stored = read_checkpoint(checkpoint)
    if stored.engine != "torchvision":
        raise CheckpointError(
            f"{checkpoint} is a detector of the engine {stored.engine}; only those of torchvision "
            f"can be written as ONNX"
        )
    detector: Any = find_engine(stored.engine).load(stored, torch.device("cpu"))
    draft = output.with_name(output.name + ".promerge-draft")
    try:
        classes = stored.labelling.classes
        _write(_Exported(detector.model, classes is not None).eval(), draft)
        if classes is not None:
            model = onnx.load(draft)
            onnx.helper.set_model_props(model, {"classes": json.dumps(classes)})
            onnx.save(model, draft)
        os.replace(draft, output)  # noqa: PTH105
    finally:
        draft.unlink(missing_ok=True)
    return output


def _write(model: _Exported, path: Path) -> None:
    outputs = ["boxes", "scores", "masks"] + ["labels"] * model.with_labels
    with warnings.catch_warnings():
        # It warns of what is constant in the graph: the image's size is not.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(*_EXAMPLE, 3, dtype=torch.uint8),),
            str(path),
            # The exporter for torch.export's graphs cannot follow torchvision's detectors, in
            # which the number of proposals depends on the image.
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=outputs,
            dynamic_axes={
                "image": {0: "height", 1: "width"},
                **{name: {0: "found"} for name in outputs},
            },
        )


class _Exported(nn.Module):
    """A detector that gives tensors: what of it can be a graph."""

    def __init__(self, model: Any, with_labels: bool) -> None:
        super().__init__()
        self.model = model
        self.with_labels = with_labels

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See `export_detector`."""
        model = self.model
        resized = self._resized(model.transform.normalize(image.movedim(2, 0) / 255))
        shape = (resized.shape[1], resized.shape[2])
        images = ImageList(model.transform.batch_images([resized], 32), [shape])
        features = model.backbone(images.tensors)
        proposals, _ = model.rpn(images, features, None)
        found = model.roi_heads(features, proposals, images.image_sizes, None)[0][0]
        boxes = resize_boxes(found["boxes"], shape, (image.shape[0], image.shape[1]))
        labels = (found["labels"] - 1,) if self.with_labels else ()
        return boxes, found["scores"], found["masks"][:, 0], *labels

    def _resized(self, image: torch.Tensor) -> torch.Tensor:
        """As torchvision does without ONNX: with it, some sizes would be a pixel off."""
        shape = torch._shape_as_tensor(image)[1:].double()
        wanted = [float(self.model.transform.min_size[-1]), float(self.model.transform.max_size)]
        # A number by a tensor would be the number times a reciprocal, a pixel off again.
        sides = torch.stack([shape.min(), shape.max()])
        scale = (torch.tensor(wanted, dtype=torch.double) / sides).min()
        height, width = (shape * scale).floor().long()
        size: Any = (height, width)
        return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
