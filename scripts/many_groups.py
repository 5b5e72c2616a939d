"""Time and memory of `group_masks` on drawn vectors, through a real database.

python scripts/many_groups.py [--masks 200000] [--values 64]
"""

from __future__ import annotations

import argparse
import resource
import time

import fiftyone as fo
import numpy as np
from bson import ObjectId
from pymongo import UpdateOne

import fiftyone_promerge as fop
from fiftyone_promerge.fiftyone_internals import detections_document, write_unseen

_PER_IMAGE, _BATCH, _CLOUDS = 100, 50, 12


def drawn_dataset(masks: int, values: int) -> fo.Dataset:
    """A dataset of masks whose vectors are drawn from twelve clouds."""
    random = np.random.default_rng(0)
    centres = random.normal(0, 3, (_CLOUDS, values))
    dataset = fo.Dataset()
    paths = (f"/{number}.jpg" for number in range(masks // _PER_IMAGE))
    dataset.add_samples((fo.Sample(path) for path in paths), progress=False)
    dataset.add_sample_field("promerge", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    dataset.add_sample_field("promerge.detections.embedding", fo.VectorField)
    ids = dataset.values("id")
    for at in range(0, len(ids), _BATCH):
        updates = []
        for sample_id in ids[at : at + _BATCH]:
            cloud = random.integers(0, _CLOUDS, _PER_IMAGE)
            vectors = centres[cloud] + random.normal(0, 1, (_PER_IMAGE, values))
            found = [
                {"label": "object", "bounding_box": [0, 0, 1, 1], "embedding": one}
                for one in vectors.astype(np.float32)
            ]
            document = {"promerge": detections_document(found)}
            updates.append(UpdateOne({"_id": ObjectId(sample_id)}, {"$set": document}))
        write_unseen(dataset, updates)
    dataset.reload()
    return dataset


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=int, default=200_000)
    parser.add_argument("--values", type=int, default=64)
    given = parser.parse_args()
    dataset = drawn_dataset(given.masks, given.values)
    try:
        before = _peak()
        start, cpu = time.perf_counter(), time.process_time()
        sizes = fop.group_masks(dataset, "promerge")
        seconds, own = time.perf_counter() - start, time.process_time() - cpu
        print(
            f"{given.masks} masks, vectors of {given.values} numbers: {len(sizes)} groups in "
            f"{seconds:.0f} s ({own:.0f} s of CPU in Python), peak memory {_peak()} MiB, "
            f"{before} MiB before"
        )
    finally:
        dataset.delete()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
