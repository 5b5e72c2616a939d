"""AP of score formulas on planted features and on the embedded backbone: see scores.md.

Usage: python scripts/ablation_scores.py SAMPLE

SAMPLE is a folder with `train2017/`, `val2017/`, `instances_train2017.json` and
`instances_val2017.json` in COCO's layout; prints the table of scores.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from promerge_core import ProMergeConfig, load_backbone, segment_features
from promerge_core.images import open_image, prepare_image
from promerge_core.masks.resizing import resize_masks
from promerge_core.masks.rle import encode_rle
from promerge_core.refinement.refine import refine_with_iou
from promerge_core.stages.pipeline import Stages
from promerge_core.stages.scoring import compactness

SIZE, GRID, CHANNELS = 480, 60, 96
# Strength of the noise, and correlation of two instances of one category.
PLANTED = {"planted 0.5": (0.5, 0.45), "planted 1.0": (1.0, 0.45), "planted 1.5": (1.5, 0.3)}


class Result(NamedTuple):
    """What is known of the accepted masks of one image."""

    image_id: int
    segmentations: list[dict]
    stages: Stages
    refine_iou: torch.Tensor
    accepted: torch.Tensor


Formula = Callable[[Stages, torch.Tensor], torch.Tensor]


def vote_share(stages: Stages) -> torch.Tensor:
    """Share v / (v + 1) for v votes, float64 [M]."""
    votes = stages.votes.double()
    return votes / (votes + 1)


FORMULAS: dict[str, Formula] = {
    "constant": lambda stages, iou: torch.ones_like(iou),
    "area": lambda stages, iou: stages.merged.flatten(1).sum(1).double(),
    "votes": lambda stages, iou: stages.votes.double(),
    "-similarity": lambda stages, iou: -stages.background_similarity.double(),
    "iou": lambda stages, iou: iou,
    "iou * v / (v + 1)": lambda stages, iou: iou * vote_share(stages),
    "iou^4 * v / (v + 1)": lambda stages, iou: iou**4 * vote_share(stages),
    "iou * (1 - similarity)": lambda stages, iou: iou * (1 - stages.background_similarity.double()),
    "iou * compactness^(1/4)": lambda stages, iou: iou * compactness(stages.merged) ** 0.25,
}


def load_annotations(path: Path) -> COCO:
    """A COCO annotation file with all categories made one."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
        coco.dataset["categories"] = [{"id": 1, "name": "object"}]
        for annotation in coco.dataset["annotations"]:
            annotation["own_category"] = annotation["category_id"]
            annotation["category_id"] = 1
        coco.createIndex()
    return coco


def plant_features(coco: COCO, image_id: int, noise: float, correlation: float) -> torch.Tensor:
    """Features as a good backbone could give them: one direction an instance, and noise.

    Background patches lie between two directions, smoothly; instances of one category share a
    part of theirs. Larger instances are planted first, so that smaller ones lie on them.

    Returns:
        float32 tensor [CHANNELS, GRID, GRID].
    """
    random = np.random.default_rng(image_id)
    ramp = np.add.outer(np.linspace(0, 1, GRID), random.uniform(-1, 1) * np.linspace(0, 1, GRID))
    blend = 0.5 + 0.3 * np.sin(2 * np.pi * random.uniform(0.5, 1) * ramp)[..., None]
    features = blend * _direction(random) + (1 - blend) * _direction(random)
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    categories: dict[int, np.ndarray] = {}
    annotations = coco.loadAnns(coco.getAnnIds([image_id], iscrowd=False))
    for annotation in sorted(annotations, key=lambda annotation: -annotation["area"]):
        shared = categories.setdefault(annotation["own_category"], _direction(random))
        own = correlation**0.5 * shared + (1 - correlation) ** 0.5 * _direction(random)
        mask = resize_masks(coco.annToMask(annotation)[None], GRID, GRID)[0]
        features[mask] = own / np.linalg.norm(own)
    features += random.normal(scale=noise / CHANNELS**0.5, size=features.shape)
    return torch.from_numpy(features.astype(np.float32)).permute(2, 0, 1)


def _direction(random: np.random.Generator) -> np.ndarray:
    vector = random.normal(size=CHANNELS)
    return vector / np.linalg.norm(vector)


def segment(coco: COCO, images: Path, source: str, image_ids: Iterable[int]) -> list[Result]:
    """Masks of each image from the features of a source: `embedded` or a key of PLANTED."""
    config = ProMergeConfig()
    backbone = load_backbone("embedded")
    results = []
    for image_id in image_ids:
        image = prepare_image(open_image(images / coco.imgs[image_id]["file_name"]), SIZE)
        if source == "embedded":
            features = backbone(backbone.normalise(image.pixels[None]))[0]
        else:
            features = plant_features(coco, image_id, *PLANTED[source])
        stages = segment_features(features, config)
        refined, iou = refine_with_iou(image.pixels, stages.merged, config)
        accepted = iou >= config.refine_iou
        arrays = resize_masks(refined[accepted].cpu().numpy(), image.width, image.height)
        results.append(Result(image_id, encode_rle(arrays), stages, iou, accepted))
    return results


def average_precision(coco: COCO, results: list[Result], formula: Formula) -> tuple[float, float]:
    """AP and AR100 of the masks, in percent, with the scores of a formula."""
    detections = [
        {"image_id": result.image_id, "category_id": 1, "segmentation": rle, "score": score}
        for result in results
        for rle, score in zip(
            result.segmentations,
            formula(result.stages, result.refine_iou)[result.accepted].tolist(),
            strict=True,
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * evaluation.stats[0], 100 * evaluation.stats[8]


def main() -> None:
    """Prints the table, a row a formula: AP on train / val for each source of features."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path, help="folder of the COCO sample")
    sample = parser.parse_args().sample
    sources = [*PLANTED, "embedded"]
    table: dict[str, list[str]] = {name: [] for name in [*FORMULAS, "AR100"]}
    for source in sources:
        columns = []
        for split in ("train2017", "val2017"):
            coco = load_annotations(sample / f"instances_{split}.json")
            results = segment(coco, sample / split, source, sorted(coco.imgs))
            rows = [average_precision(coco, results, formula) for formula in FORMULAS.values()]
            columns.append([row[0] for row in rows] + [rows[0][1]])
        for cells, train, val in zip(table.values(), *columns, strict=True):
            cells.append(f"{train:.2f} / {val:.2f}")
    print("| formula | " + " | ".join(sources) + " |")
    print("|---" * (len(sources) + 1) + "|")
    for name, cells in table.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
