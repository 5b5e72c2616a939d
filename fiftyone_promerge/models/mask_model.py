"""What all our FiftyOne models share: skipping broken images, patches, records of runs."""

from __future__ import annotations

import abc
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import fiftyone as fo
import fiftyone.core.media as fomm
import fiftyone.core.models as fom
import fiftyone.core.patches as fop

from fiftyone_promerge.fields import written_ids, written_samples
from fiftyone_promerge.fiftyone_internals import (
    ApplyModelCall,
    current_apply_model_call,
    root_dataset,
)
from fiftyone_promerge.labels import masks_to_detections, move_into_box
from fiftyone_promerge.provenance import check_replaceable, record_run
from promerge_core import ImageMasks, SkippedImage, Summary

from .loading import LoadedImage, LoadImage


class Writer(Protocol):
    """Takes masks off a model's hands, so that they do not become labels first."""

    def write(self, masks: Mapping[str, ImageMasks]) -> None:
        """Writes the masks of whole images, given by the ids of their samples."""


class MaskModel(fom.Model, fom.SupportsGetItem, fom.SamplesMixin, fom.TorchModelMixin, abc.ABC):
    """Instance masks for every image of a FiftyOne dataset, view or video.

    An image that cannot be read gets no label; the others of its batch do. With
    `skip_failures=False` it raises. On a patches view each patch is an image of its own, and its
    masks are written to the whole image's sample in the source dataset: FiftyOne keeps no new
    field of a patch. The call is recorded as a run of the dataset.

    Attributes:
        prepare: makes of a PIL image, or of a uint8 array [H, W, 3], what `predict_prepared`
            takes; it runs in DataLoader workers, so it can be pickled.
        skip_unreadable: whether an image that cannot be read is skipped; None is as `apply_model`
            skips failures.
        writer: writes the masks of whole images, which then get no labels from `apply_model`.
        options: options of the run, for its record: the device and others by their names.
        on_first_image: is called when the first image of a run is done, which is then a batch of
            its own; None where nobody waits for it.
        summary: what the last `apply_model` did: images, masks, reasons, skipped images.
    """

    prepare: Callable[[Any], Any]

    def __init__(self) -> None:
        super().__init__()
        self.skip_unreadable: bool | None = None
        self.writer: Writer | None = None
        self.options: Mapping[str, Any] = {}
        self.on_first_image: Callable[[], object] | None = None
        self.summary = Summary()
        self.preprocess = True
        self._call: ApplyModelCall | None = None

    @abc.abstractmethod
    def predict_prepared(self, images: list[Any]) -> list[ImageMasks]:
        """Masks of a batch of prepared images."""

    @abc.abstractmethod
    def record(self) -> dict[str, Any]:
        """What makes the masks, ready for JSON: method, backbone, weights and parameters."""

    @property
    def media_type(self) -> str:
        """See `fiftyone.core.models.Model`."""
        return "image"

    @property
    def ragged_batches(self) -> bool:
        """Images of any sizes can share a batch: each is resized to the model's input."""
        return False

    @property
    def transforms(self) -> None:
        """None: images are prepared by `build_get_item` or by `predict_all`."""
        return None

    @property
    def preprocess(self) -> bool:
        """Whether `predict` is given raw images; prepared ones are recognised either way."""
        return self._preprocess

    @preprocess.setter
    def preprocess(self, value: bool) -> None:
        """See `fiftyone.core.models.TorchModelMixin`."""
        self._preprocess = value

    @property
    def has_collate_fn(self) -> bool:
        """See `fiftyone.core.models.TorchModelMixin`."""
        return True

    @staticmethod
    def collate_fn(batch: list[Any]) -> list[Any]:
        """Keeps a batch a list: it may hold skipped images."""
        return batch

    @property
    def needs_fields(self) -> dict[str, str]:
        """See `fiftyone.core.models.SamplesMixin`: of a patches view, the patches' labels."""
        field = self._patches_field
        return {**self._fields, **({"patch": field} if field else {})}

    @needs_fields.setter
    def needs_fields(self, fields: dict[str, str]) -> None:
        """See `fiftyone.core.models.SamplesMixin`."""
        self._fields = fields

    @property
    def _patches_field(self) -> str | None:
        """The field that holds a patches view's labels, where the model is applied to one."""
        samples = None if self._call is None else self._call.samples
        return samples.patches_field if isinstance(samples, fop.PatchesView) else None

    def build_get_item(self, field_mapping: dict[str, str] | None = None) -> LoadImage:
        """See `fiftyone.core.models.SupportsGetItem`."""
        skip = self.skip_unreadable
        if skip is None:
            skip = self._call is None or self._call.skip_failures
        field = self._patches_field
        if field is not None:
            field_mapping = {**(field_mapping or {}), "patch": field}
        return LoadImage(self.prepare, skip, field_mapping, patches=field is not None)

    @contextlib.contextmanager
    def run_with(self, writer: Writer | None, options: Mapping[str, Any]) -> Iterator[None]:
        """Inside, images that cannot be read are skipped, whatever `apply_model` is told.

        It can then be told to skip no other failure, which would be that of every image.

        Args:
            writer: writes the masks of whole images; None leaves them to `apply_model`.
            options: options of the run, for its record, beside the model's own.
        """
        before = self.skip_unreadable, self.writer, self.options
        self.skip_unreadable, self.writer = True, writer
        self.options = {**self.options, **options}
        try:
            yield
        finally:
            self.skip_unreadable, self.writer, self.options = before

    def __enter__(self) -> MaskModel:
        call = current_apply_model_call()
        if call is not None:
            call = _with_frame_field(call)
            check_replaceable(written_samples(call.samples), call.label_field)
        self._call = call
        self._patches: dict[str, list[fo.Detections | None]] = defaultdict(list)
        self._patch_counts = self._count_patches()
        self.summary = Summary()
        if self._call is not None:
            # At once, so that a run which is killed can be resumed; again at the end.
            record_run(self._call, self.record(), self.summary, self.options)
        return self

    def __exit__(self, *error: object) -> None:
        if self._call is not None:
            record_run(self._call, self.record(), self.summary, self.options)
        self._call = None

    def predict(self, arg: Any, sample: fo.Sample | None = None) -> fo.Detections | None:
        """See `fiftyone.core.models.Model`: the masks of one image, as `predict_all` gives them."""
        return self.predict_all([arg])[0]

    def predict_all(
        self, args: Sequence[Any], samples: Sequence[fo.Sample] | None = None
    ) -> list[fo.Detections | None]:
        """Masks of a batch of images.

        Args:
            args: images as uint8 arrays [H, W, 3], PIL images, or what `LoadImage` gives.
            samples: the samples of the images; used where they are patches, or are written to.

        Returns:
            for each image its detections with `confidence`, mask and facts, and
            `Detections.reason` where there are none; None for a skipped image, and for all that
            the `writer` writes.
        """
        found = self._find(args)
        if self.writer is not None and samples is not None:
            pairs = zip(samples, found, strict=True)
            self.writer.write({sample.id: masks for sample, masks in pairs if masks is not None})
            return [None] * len(args)
        labels = [self._label(arg, masks) for arg, masks in zip(args, found, strict=True)]
        if self._call is not None and self._patches_field and samples is not None:
            self._write_to_source(self._call, samples, labels)
        return labels

    def _find(self, args: Sequence[Any]) -> list[ImageMasks | None]:
        """The masks of each image, counted; None for a skipped one."""
        readable = [self._prepared(arg) for arg in args if not isinstance(arg, SkippedImage)]
        results = iter(self._first_alone(readable))
        found: list[ImageMasks | None] = []
        for arg in args:
            if isinstance(arg, SkippedImage):
                self.summary.skip(arg)
                found.append(None)
            else:
                masks = next(results)
                self.summary.add(masks)
                found.append(masks)
        return found

    def _first_alone(self, images: list[Any]) -> list[ImageMasks]:
        """The masks of prepared images; the first of a run does not wait for its batch."""
        call, self.on_first_image = self.on_first_image, None
        if call is None or not images:
            self.on_first_image = call
            return self.predict_prepared(images)
        first, rest = self.predict_prepared(images[:1]), images[1:]
        call()
        return first + (self.predict_prepared(rest) if rest else [])

    @staticmethod
    def _label(arg: Any, masks: ImageMasks | None) -> fo.Detections | None:
        if masks is None:
            return None
        detections = masks_to_detections(masks, masks.reason)
        if isinstance(arg, LoadedImage) and arg.box is not None:
            move_into_box(detections, arg.box)
        return detections

    def _count_patches(self) -> Counter[str]:
        """How many patches of each whole image the model is applied to."""
        if self._call is None or self._patches_field is None:
            return Counter()
        return Counter(written_ids(self._call.samples))

    def _write_to_source(
        self,
        call: ApplyModelCall,
        patches: Sequence[fo.Sample],
        labels: Sequence[fo.Detections | None],
    ) -> None:
        """Gathers the masks of patches; writes them to each image whose last patch is done."""
        dataset = root_dataset(call.samples)
        for patch, label in zip(patches, labels, strict=True):
            found = self._patches[patch.sample_id]
            found.append(label)
            if len(found) == self._patch_counts[patch.sample_id]:
                done = [one for one in self._patches.pop(patch.sample_id) if one is not None]
                if done:
                    sample = dataset[patch.sample_id]
                    gathered = [one.copy() for label in done for one in label.detections]
                    sample[call.label_field] = fo.Detections(detections=gathered, reason=None)
                    sample.save()

    def _prepared(self, arg: Any) -> Any:
        return arg.image if isinstance(arg, LoadedImage) else self.prepare(arg)


def _with_frame_field(call: ApplyModelCall) -> ApplyModelCall:
    """The call with the whole name of the field: of videos, FiftyOne adds the prefix itself."""
    if call.samples.media_type != fomm.VIDEO:
        return call
    return call._replace(label_field=f"frames.{call.label_field.removeprefix('frames.')}")
