"""Masks -> the labels of samples, in bulk, while the next masks are made."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone

import fiftyone as fo
from bson import ObjectId
from pymongo import UpdateOne

from fiftyone_promerge.fiftyone_internals import write_unseen
from fiftyone_promerge.labels import label_document
from promerge_core import ImageMasks

# FiftyOne reads the list of fields, adds one and writes it back. Two runs in the App's server, each
# with a dataset object of its own, would otherwise take away each other's field.
_SCHEMA = threading.Lock()


class MaskWriter:
    """Writes masks into a field of the samples that have no label in it.

    One that has a label when its masks come is left as it is: a person may have made it since.
    What it writes is what FiftyOne writes for `masks_to_detections`, but its documents are not
    built and checked, which would take as long as encoding the masks. One batch is written in a
    thread while the next one is made; the context's end waits for the last.

    Args:
        dataset: the samples' dataset.
        field: holds `fo.Detections`, or does not exist yet.
    """

    def __init__(self, dataset: fo.Dataset, field: str) -> None:
        self._dataset = dataset
        self._field = field
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._last: Future[None] | None = None

    def __enter__(self) -> MaskWriter:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        with self._thread:
            self._wait()
        if error is None:
            # For samples that the caller holds in memory.
            self._dataset.reload()

    def write(self, masks: Mapping[str, ImageMasks]) -> None:
        """Writes the masks of samples, given by their ids.

        Raises:
            PyMongoError, BSONError: the batch before this one could not be written.
        """
        self._wait()
        if masks and not self._dataset.has_field(self._field):
            with _SCHEMA:
                self._dataset.add_sample_field(
                    self._field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
                )
        self._last = self._thread.submit(self._write, masks)

    def _wait(self) -> None:
        if self._last is not None:
            last, self._last = self._last, None
            last.result()

    def _write(self, masks: Mapping[str, ImageMasks]) -> None:
        now = datetime.now(timezone.utc)
        updates = [
            UpdateOne(
                {"_id": ObjectId(sample_id), self._field: None},
                {"$set": {self._field: label_document(found), "last_modified_at": now}},
            )
            for sample_id, found in masks.items()
        ]
        write_unseen(self._dataset, updates)
