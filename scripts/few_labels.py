"""Groups and few labels against true boxes: V-measure, accuracy and balanced accuracy.

python scripts/few_labels.py MASKS.json TRUTH.json IMAGES [--backbone embedded]
python scripts/few_labels.py TRUTH.json TRUTH.json IMAGES --own-classes --least 15
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from sklearn.metrics import balanced_accuracy_score, v_measure_score

from promerge_core import describe_masks, load_backbone, open_image
from promerge_core.descriptors.clusters import find_groups
from promerge_core.descriptors.spreading import learn_labels

_SMALLEST = 300  # pixels; smaller true masks show nothing


def by_image(file: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Annotations by the image's file name."""
    names = {image["id"]: image["file_name"] for image in file["images"]}
    found = defaultdict(list)
    for one in file["annotations"]:
        found[names[one["image_id"]]].append(one)
    return found


def true_class(box: list[float], truth: list[dict[str, Any]]) -> int:
    """The category of the true box with the largest IoU, 0 where that is below 0.5."""
    if not truth:
        return 0
    overlaps = coco_mask.iou([box], [one["bbox"] for one in truth], [0] * len(truth))[0]
    return int(truth[overlaps.argmax()]["category_id"]) if overlaps.max() >= 0.5 else 0


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("masks", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--backbone", default="embedded")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--least", type=int, default=6, help="masks that a class must have")
    parser.add_argument(
        "--own-classes", action="store_true", help="the masks are true ones and have their classes"
    )
    given = parser.parse_args()
    backbone = load_backbone(given.backbone)
    truth = by_image(json.loads(given.truth.read_text()))
    masks, smallest = COCO(given.masks), _SMALLEST if given.own_classes else 0
    parts, classes = [], []
    for name, labels in by_image(masks.dataset).items():
        own = [one for one in labels if not one.get("iscrowd") and one["area"] >= smallest]
        if not own:
            continue
        drawn = np.stack([masks.annToMask(one).astype(bool) for one in own])
        parts.append(describe_masks(backbone, open_image(given.images / name), drawn))
        for one in own:
            own_class = one["category_id"] if given.own_classes else None
            classes.append(own_class or true_class(one["bbox"], truth[name]))
    vectors, truths = np.concatenate(parts), np.array(classes)
    truths[np.bincount(truths)[truths] < given.least] = 0
    known = np.flatnonzero(truths)
    print(f"{len(vectors)} masks, {len(known)} with a class: {np.bincount(truths)[1:].tolist()}")
    for method in ("hdbscan", "kmeans"):
        found = find_groups(vectors, method).group
        score = v_measure_score(truths[known], found[known])
        print(f"{method}: {found.max() + 1} groups, V-measure {score:.3f}")
    scores = np.array([five_labels(vectors, truths, seed) for seed in range(given.seeds)])
    for name, column in zip(("accuracy", "balanced"), scores.T, strict=True):
        print(f"{name}: {column.mean():.3f} +- {column.std():.3f}, {column.round(3).tolist()}")


def five_labels(vectors: np.ndarray, truths: np.ndarray, seed: int) -> tuple[float, float]:
    """Accuracy and balanced accuracy of all other masks after five labels of each class."""
    random = np.random.default_rng(seed)
    kinds = np.unique(truths[truths > 0])
    drawn = [random.choice(np.flatnonzero(truths == one), 5, replace=False) for one in kinds]
    labelled = np.concatenate(drawn)
    names = [str(one) for one in truths[labelled]]
    found = learn_labels(vectors[labelled], names, vectors).guess(vectors).label.astype(int)
    rest = np.setdiff1d(np.flatnonzero(truths), labelled)
    right = float((found[rest] == truths[rest]).mean())
    return right, float(balanced_accuracy_score(truths[rest], found[rest]))


if __name__ == "__main__":
    main()
