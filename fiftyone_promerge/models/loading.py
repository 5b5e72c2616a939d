"""Images on their way from files to a model, in a DataLoader's workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import fiftyone as fo
import fiftyone.utils.torch as fout
from PIL import Image

from promerge_core import ImageError, SkippedImage, open_image


class LoadedImage(NamedTuple):
    """An image that was read and prepared in a DataLoader's worker.

    Attributes:
        image: what the model's `prepare` made of the image, or of the patch inside a label's box.
        box: relative (x, y, width, height) of the patch in the whole image, or None.
    """

    image: Any
    box: tuple[float, float, float, float] | None = None


class LoadImage(fout.GetItem):
    """Reads and prepares the image of a sample, or of a patch, in a DataLoader's worker.

    Args:
        prepare: what a model does to an image before it predicts; it can be pickled.
        skip_failures: whether an image that cannot be read becomes a `SkippedImage`, or raises.
        field_mapping: dataset fields that hold the required keys.
        patches: whether the samples are patches, with their label under the key `patch`.
    """

    def __init__(
        self,
        prepare: Callable[[Image.Image], Any],
        skip_failures: bool,
        field_mapping: dict[str, str] | None = None,
        patches: bool = False,
    ) -> None:
        self._patches = patches
        super().__init__(field_mapping=field_mapping)
        self._prepare = prepare
        self._skip_failures = skip_failures

    @property
    def required_keys(self) -> list[str]:
        """See `fiftyone.utils.torch.GetItem`."""
        return ["filepath", "patch"] if self._patches else ["filepath"]

    def __call__(self, d: dict[str, Any]) -> LoadedImage | SkippedImage:
        """The image of the sample with these field values.

        Raises:
            ImageError: the image cannot be read and failures are not skipped.
        """
        try:
            image = open_image(d["filepath"])
            if self._patches:
                return self._crop(image, d["patch"])
            return LoadedImage(self._prepare(image))
        except ImageError as error:
            if not self._skip_failures:
                raise
            return SkippedImage(d["filepath"], str(error))

    def _crop(self, image: Image.Image, patch: fo.Detection) -> LoadedImage:
        x, y, width, height = patch.bounding_box
        left, right = round(x * image.width), round((x + width) * image.width)
        top, bottom = round(y * image.height), round((y + height) * image.height)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        box = (
            left / image.width,
            top / image.height,
            (right - left) / image.width,
            (bottom - top) / image.height,
        )
        return LoadedImage(self._prepare(image.crop((left, top, right, bottom))), box)
