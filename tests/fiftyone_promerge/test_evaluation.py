"""Evaluation against pycocotools itself, on COCO images with made-up predictions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

METRICS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
SCORES = {
    "distinct": lambda rng, n: rng.permutation(n) / n,
    "equal": lambda rng, n: np.ones(n),
    "few": lambda rng, n: rng.integers(1, 4, n) / 4,
}


@pytest.fixture(scope="module")
def coco(shared_dir):
    return COCO(shared_dir / "coco_sample" / "instances_val2017.json")


@pytest.fixture(scope="module")
def predicted_masks(coco):
    """COCO image id -> bool masks: eroded, dilated, shifted, missing and extra objects."""
    rng = np.random.default_rng(7)
    predictions = {}
    for image in coco.loadImgs(sorted(coco.getImgIds())):
        masks = [
            change(coco.annToMask(annotation), rng)
            for annotation in coco.loadAnns(coco.getAnnIds(image["id"]))
            if rng.random() < 0.8
        ]
        extra = np.zeros((image["height"], image["width"]), np.uint8)
        extra[10 : rng.integers(20, 200), 5 : rng.integers(10, 300)] = 1
        predictions[image["id"]] = [m.astype(bool) for m in [*masks, extra] if m.any()]
    return predictions


def change(mask, rng):
    kernel = np.ones((rng.integers(1, 9),) * 2, np.uint8)
    kind = rng.integers(3)
    if kind == 0:
        return cv2.erode(mask, kernel)
    if kind == 1:
        return cv2.dilate(mask, kernel)
    return np.roll(mask, rng.integers(-8, 8, 2), (0, 1))


def results_of(predicted_masks, scores):
    """Results as `loadRes` takes them, masks and boxes."""
    rng = np.random.default_rng(1)
    total = sum(map(len, predicted_masks.values()))
    values = iter(SCORES[scores](rng, total))
    segm, boxes = [], []
    for image_id, masks in predicted_masks.items():
        for mask in masks:
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            common = {"image_id": image_id, "category_id": 1, "score": float(next(values))}
            boxes.append(common | {"bbox": coco_mask.toBbox(rle).tolist()})
            rle["counts"] = rle["counts"].decode()
            segm.append(common | {"segmentation": rle})
    return {"segm": segm, "bbox": boxes}


@pytest.fixture(scope="module")
def oracle(coco):
    """pycocotools' evaluation of results, with all classes as one."""

    def run(results, iou_type):
        evaluator = COCOeval(coco, coco.loadRes(results), iou_type)
        evaluator.params.useCats = 0
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        return evaluator

    return run


@pytest.fixture
def dataset(coco, predicted_masks, make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.coco import ImageSize, annotation_to_detection

    dataset = make_dataset()
    for image in coco.loadImgs(coco.getImgIds()):
        size = ImageSize(image["width"], image["height"])
        annotations = coco.loadAnns(coco.getAnnIds(image["id"]))
        truth = [annotation_to_detection(a, size) for a in annotations]
        sample = fo.Sample(
            filepath=f"/images/{image['file_name']}",
            coco_id=image["id"],
            metadata=fo.ImageMetadata(width=size.width, height=size.height),
            ground_truth=fo.Detections(detections=truth),
        )
        dataset.add_sample(sample)
    return dataset


def predict(dataset, results, field="predictions"):
    import fiftyone as fo

    from fiftyone_promerge.coco import ImageSize, annotation_to_detection

    by_image = {}
    for result in results:
        by_image.setdefault(result["image_id"], []).append(result)
    for sample in dataset:
        size = ImageSize(sample.metadata.width, sample.metadata.height)
        found = [annotation_to_detection(r, size) for r in by_image.get(sample.coco_id, [])]
        sample[field] = fo.Detections(detections=found)
        sample.save()


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
@pytest.mark.parametrize("scores", SCORES)
def test_all_numbers_and_matches_are_those_of_pycocotools(
    dataset, predicted_masks, oracle, scores, iou_type
):
    import fiftyone_promerge as fop

    results = results_of(predicted_masks, scores)[iou_type]
    predict(dataset, results)
    expected = oracle(results, iou_type)

    metrics = fop.evaluate(dataset, "predictions", iou_type=iou_type).metrics()

    np.testing.assert_allclose([metrics[m] for m in METRICS], expected.stats, rtol=0, atol=1e-6)
    assert 0.1 < metrics["AP"] < 0.9
    assert_same_matches(dataset, expected)


def outcome(label):
    return label.get_attribute_value("eval", None)


def assert_same_matches(dataset, expected):
    """Every label's outcome is what pycocotools' matches at IoU 0.5 say."""
    for sample in dataset:
        image = next((e for e in expected.evalImgs if e and e["image_id"] == sample.coco_id), None)
        truth = {d.coco_id: d for d in sample.ground_truth.detections}
        predictions = sample.predictions.detections
        first_id = min((d["id"] for d in expected.cocoDt.imgToAnns[sample.coco_id]), default=0)
        counts = {"tp": 0, "fp": 0, "fn": 0}
        if image is None:
            assert not truth and not predictions
            continue
        for index, label_id in enumerate(image["dtIds"]):
            label = predictions[label_id - first_id]
            match, ignored = image["dtMatches"][0, index], image["dtIgnore"][0, index]
            status = None if match and ignored else "tp" if match else "fp"
            assert outcome(label) == status
            if status == "tp":
                assert label["eval_id"] == truth[int(match)].id
                assert label["eval_iou"] >= 0.5
            if status:
                counts[status] += 1
        for index, label_id in enumerate(image["gtIds"]):
            status = "tp" if image["gtMatches"][0, index] else "fn"
            if image["gtIgnore"][index]:
                status = None
            assert outcome(truth[label_id]) == status
            counts["fn"] += status == "fn"
        assert {k: sample[f"eval_{k}"] for k in counts} == counts
