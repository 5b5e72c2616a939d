"""Names five masks of each class by true boxes, as a person would by looking; the rest is ours.

python scripts/stand_in_for_a_person.py DATASET [--field promerge] [--truth ground_truth]

It writes `label` to those masks, and to the field `tenth` the true boxes of a tenth of the photos.
"""

from __future__ import annotations

import argparse

import fiftyone as fo
import numpy as np
from pycocotools import mask as coco_mask


def true_classes(dataset: fo.Dataset, field: str, truth: str) -> dict[str, list[str]]:
    """Ids of the masks whose box has an IoU of at least 0.5 with a true box, by its class."""
    columns = [f"{field}.detections.id", f"{field}.detections.bounding_box"]
    columns += [f"{truth}.detections.category", f"{truth}.detections.bounding_box"]
    columns += ["metadata.width", "metadata.height"]
    found: dict[str, list[str]] = {}
    for ids, boxes, names, true, width, height in zip(*dataset.values(columns), strict=True):
        if not (ids and names):
            continue
        scale = [width, height, width, height]
        pixels = (np.multiply(boxes, scale), np.multiply(true, scale))
        overlaps = np.asarray(coco_mask.iou(*pixels, [0] * len(true)))
        for label_id, row in zip(ids, overlaps, strict=True):
            if row.max() >= 0.5:
                found.setdefault(names[row.argmax()], []).append(label_id)
    return found


def main() -> None:
    """Writes the labels and the field, and prints what they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--field", default="promerge")
    parser.add_argument("--truth", default="ground_truth")
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    dataset = fo.load_dataset(given.dataset)
    random = np.random.default_rng(given.seed)
    classes = true_classes(dataset, given.field, given.truth)
    names = {
        str(label_id): name
        for name in sorted(classes)
        for label_id in random.choice(classes[name], given.each, replace=False)
    }
    path = f"{given.field}.detections.label"
    ids, labels = dataset.values([f"{given.field}.detections.id", path])
    dataset.set_values(
        path,
        [
            one and [names.get(label_id, label) for label_id, label in zip(one, old, strict=True)]
            for one, old in zip(ids, labels, strict=True)
        ],
    )
    chosen = random.choice(dataset.values("id"), len(dataset) // 10, replace=False)
    tenth = dataset.select(list(chosen))
    boxes = [label.copy() for label in tenth.values(given.truth)]
    dataset.set_values("tenth", dict(zip(tenth.values("id"), boxes, strict=True)), key_field="id")
    listed = ", ".join(f"{name} (of {len(classes[name])})" for name in sorted(classes))
    print(f"named: {given.each} masks each of {listed}")
    print(f"tenth: {tenth.count_values('tenth.detections.category')} in {len(tenth)} photos")


if __name__ == "__main__":
    main()
