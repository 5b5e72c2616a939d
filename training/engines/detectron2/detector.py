"""Predicts with a trained model of detectron2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from detectron2.data.transforms import ResizeShortestEdge
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Instances

from fiftyone_promerge.training.data.labelling import Labelling
from fiftyone_promerge.training.engines.base import Detector
from fiftyone_promerge.training.engines.pasting import boxes_as_masks, paste_in_parts
from fiftyone_promerge.training.recipes import Recipe
from promerge_core import Mask


class Detectron2Detector(Detector):
    """A trained detector of detectron2.

    Args:
        model: the model, in evaluation mode, on its device.
        recipe: the sizes of its input.
        labelling: the classes; without masks an object is all pixels of its box.
        device: the device.
    """

    def __init__(
        self, model: GeneralizedRCNN, recipe: Recipe, labelling: Labelling, device: torch.device
    ) -> None:
        self._model = model
        self._resize = ResizeShortestEdge(recipe.test_short_side, recipe.long_side)
        self._labelling = labelling
        self.device = device

    @torch.inference_mode()
    def predict(self, images: Sequence[np.ndarray]) -> list[list[Mask]]:
        """See `Detector.predict`."""
        # One at a time: images of a batch are padded to the largest, which changes what is found.
        return [self._predict(image) for image in images]

    def _predict(self, image: np.ndarray) -> list[Mask]:
        inputs = [{"image": self._resized(image)}]
        (result,) = self._model.inference(inputs, do_postprocess=False)
        return _masks(result, image.shape[0], image.shape[1], self._labelling)

    def _resized(self, image: np.ndarray) -> torch.Tensor:
        resized = self._resize.get_transform(image).apply_image(image)
        return torch.from_numpy(resized.astype(np.float32)).permute(2, 0, 1)


def _masks(result: Instances, height: int, width: int, labelling: Labelling) -> list[Mask]:
    """An image's result at its own size; empty boxes are left out."""

    def found(part: slice) -> tuple[Instances, list[float], list[str]]:
        resized = detector_postprocess(result[part], height, width)
        names = [labelling.names[number] for number in resized.pred_classes.tolist()]
        return resized, resized.scores.tolist(), names

    def paste(part: slice) -> tuple[np.ndarray, list[float], list[str]]:
        resized, scores, names = found(part)
        return resized.pred_masks.cpu().numpy(), scores, names

    if labelling.has_masks:
        return paste_in_parts(len(result), (height, width), paste)
    result.remove("pred_masks")
    resized, scores, names = found(slice(None))
    return boxes_as_masks(resized.pred_boxes.tensor.tolist(), scores, (height, width), names)
