"""Evaluation against pycocotools itself, on COCO images with made-up predictions."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

METRICS = ["AP", "AP50", "AP75", "APs", "APm", "APl"]
METRICS += ["AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
SCORES = {
    "distinct": lambda rng, n: rng.permutation(n) / n,
    "equal": lambda rng, n: np.ones(n),
    "few": lambda rng, n: rng.integers(1, 4, n) / 4,
}
IOU_TYPES = ["segm", "bbox"]


@pytest.fixture(scope="module")
def coco(shared_dir):
    return COCO(shared_dir / "coco_sample" / "instances_val2017.json")


@pytest.fixture(scope="module")
def results(coco):
    """Results as `loadRes` takes them, by kind of scores and of IoU, on all images but three.

    Objects are eroded, dilated, shifted and missing, and every image has one that is not there.
    """
    rng = np.random.default_rng(7)
    found = []
    for image in coco.loadImgs(sorted(coco.getImgIds())[3:]):
        masks = [
            change(coco.annToMask(annotation), rng)
            for annotation in coco.loadAnns(coco.getAnnIds(image["id"]))
            if rng.random() < 0.8
        ]
        extra = np.zeros((image["height"], image["width"]), np.uint8)
        extra[10 : rng.integers(20, 200), 5 : rng.integers(10, 300)] = 1
        rles = [coco_mask.encode(np.asfortranarray(mask)) for mask in [*masks, extra]]
        found += [(image["id"], rle) for rle in rles if coco_mask.area(rle)]
    return {
        (kind, iou_type): list(as_results(found, make(rng, len(found)), iou_type))
        for kind, make in SCORES.items()
        for iou_type in IOU_TYPES
    }


def change(mask, rng):
    kernel = np.ones((rng.integers(1, 9),) * 2, np.uint8)
    kind = rng.integers(3)
    if kind == 0:
        return cv2.erode(mask, kernel)
    if kind == 1:
        return cv2.dilate(mask, kernel)
    return np.roll(mask, rng.integers(-8, 8, 2), (0, 1))


def as_results(found, scores, iou_type):
    for (image_id, rle), score in zip(found, scores, strict=True):
        result = {"image_id": image_id, "category_id": 1, "score": float(score)}
        if iou_type == "segm":
            segmentation = {"size": rle["size"], "counts": rle["counts"].decode()}
            yield result | {"segmentation": segmentation}
        else:
            yield result | {"bbox": coco_mask.toBbox(rle).tolist()}


@pytest.fixture(scope="module")
def dataset(shared_dir, results, database, tmp_path_factory):
    """The COCO sample with every kind of results in a field of its own."""
    import fiftyone_promerge as fop
    from fiftyone_promerge import import_coco

    sample = shared_dir / "coco_sample"
    dataset = fop.load_benchmark(
        "coco2017", sample / "val2017", sample / "instances_val2017.json", "evaluation-tests"
    )
    path = tmp_path_factory.mktemp("results") / "results.json"
    for kind, found in results.items():
        path.write_text(json.dumps(found))
        import_coco(dataset, "_".join(kind), path)
    yield dataset
    dataset.delete()


def oracle(coco, results, iou_type, image_ids=None):
    """pycocotools' evaluation of results, with all classes as one."""
    evaluator = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), iou_type)
    evaluator.params.useCats = 0
    if image_ids is not None:
        evaluator.params.imgIds = image_ids
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator


def assert_same_numbers(metrics, expected):
    found = [metrics[name] for name in METRICS]
    np.testing.assert_allclose(found, expected.stats, rtol=0, atol=1e-6)


@pytest.mark.parametrize("iou_type", IOU_TYPES)
@pytest.mark.parametrize("scores", SCORES)
def test_all_numbers_and_matches_are_those_of_pycocotools(coco, dataset, results, scores, iou_type):
    import fiftyone_promerge as fop

    found = results[scores, iou_type]
    expected = oracle(coco, found, iou_type)

    metrics = fop.evaluate(dataset, f"{scores}_{iou_type}", iou_type=iou_type).metrics()

    assert_same_numbers(metrics, expected)
    assert 0.1 < metrics["AP"] < 0.9
    assert_same_matches(dataset, f"{scores}_{iou_type}", expected)
    dataset.delete_evaluation("eval")


def others(dataset):
    """Fields of results."""
    return [name for name in dataset.get_field_schema() if name.endswith(("_segm", "_bbox"))]


def outcome(label):
    return label.get_attribute_value("eval", None)


def assert_same_matches(dataset, field, expected):
    """Every label's outcome is what pycocotools' matches at IoU 0.5 over all areas say."""
    all_areas = list(expected.params.areaRng[0])
    images = {e["image_id"]: e for e in expected.evalImgs if e and e["aRng"] == all_areas}
    for sample in dataset.exclude_fields([f for f in others(dataset) if f != field]):
        image = images.get(sample.coco_id, {"dtIds": [], "gtIds": []})
        truth = {label.coco_id: label for label in sample.ground_truth.detections}
        predictions = sample[field].detections if sample[field] else []
        ids = sorted(label["id"] for label in expected.cocoDt.imgToAnns[sample.coco_id])
        counts = {"tp": 0, "fp": 0, "fn": 0}
        for index, label_id in enumerate(image["dtIds"]):
            label = predictions[ids.index(label_id)]
            match, ignored = image["dtMatches"][0, index], image["dtIgnore"][0, index]
            status = None if ignored else "tp" if match else "fp"
            assert outcome(label) == status
            if status == "tp":
                assert label["eval_id"] == truth[int(match)].id
                assert truth[int(match)]["eval_id"] == label.id
                assert label["eval_iou"] >= 0.5
            if status:
                counts[status] += 1
        for index, label_id in enumerate(image["gtIds"]):
            status = "tp" if image["gtMatches"][0, index] else "fn"
            assert outcome(truth[label_id]) == (None if image["gtIgnore"][index] else status)
            counts["fn"] += status == "fn" and not image["gtIgnore"][index]
        assert {key: sample[f"eval_{key}"] for key in counts} == counts


@pytest.fixture(scope="module")
def classified(coco, results):
    """The same results with classes, some wrong, some of a class that is in no image."""
    rng = np.random.default_rng(11)
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    shown = [one["category_id"] for one in coco.dataset["annotations"]]
    names |= {999: "nowhere"}
    chosen = {}
    for key, found in results.items():
        ids = [int(rng.choice([*shown, *[999] * 20])) for _ in found]
        for place, one in enumerate(found):
            present = [label["category_id"] for label in coco.imgToAnns[one["image_id"]]]
            if present and rng.random() < 0.8:
                ids[place] = int(rng.choice(present))
        chosen[key] = [one | {"category_id": i} for one, i in zip(found, ids, strict=True)]
    return chosen, names


@pytest.mark.parametrize("iou_type", IOU_TYPES)
@pytest.mark.parametrize("scores", SCORES)
def test_classes_count_as_pycocotools_counts_categories(
    coco, dataset, classified, scores, iou_type
):
    """The sample has crowds; scores tie; some classes are only found, some only there."""
    import fiftyone_promerge as fop
    from fiftyone_promerge.evaluation.comparison import class_metrics

    found, names = classified[0][scores, iou_type], classified[1]
    expected = COCOeval(coco, coco.loadRes(copy.deepcopy(found)), iou_type)
    expected.evaluate()
    expected.accumulate()
    expected.summarize()
    field = f"{scores}_{iou_type}"
    waiting = {image: [] for image in coco.getImgIds()}
    for one in found:
        waiting[one["image_id"]].append(names[one["category_id"]])
    path = f"{field}.detections.label"
    dataset.set_values(path, [waiting[image] or None for image in dataset.values("coco_id")])

    results = fop.evaluate(dataset, field, iou_type=iou_type, classes="category")

    assert_same_numbers(results.metrics(), expected)
    assert 0.05 < results.metrics()["AP"] < 0.9
    assert results.mAP() == pytest.approx(expected.stats[0], abs=1e-6)
    by_class = class_metrics(results)
    for place, number in enumerate(expected.params.catIds):
        precision = expected.eval["precision"][:, :, place, 0, -1].mean()
        recall = expected.eval["recall"][:, place, 0, -1].mean()
        if names[number] in by_class:
            ours = by_class[names[number]]
            wanted = [100 * one if one >= 0 else -1 for one in (precision, recall)]
            assert [ours["AP"], ours["AR100"]] == pytest.approx(wanted, abs=1e-4)
        else:
            assert precision == -1
    assert dataset.get_evaluation_info("eval").config.classwise
    dataset.delete_evaluation("eval")
    dataset.set_values(path, [["object"] * len(one) or None for one in waiting.values()])


def test_ties_follow_coco_ids_not_the_order_of_samples(coco, dataset, results):
    import fiftyone_promerge as fop

    shuffled = dataset.shuffle(seed=51)
    metrics = fop.evaluate(shuffled, "equal_segm", eval_key=None).metrics()
    assert_same_numbers(metrics, oracle(coco, results["equal", "segm"], "segm"))


def test_a_view_counts_its_images_alone(coco, dataset, results):
    import fiftyone_promerge as fop

    view = dataset.skip(10).limit(25)
    found = fop.evaluate(view, "few_segm", eval_key="part")
    expected = oracle(coco, results["few", "segm"], "segm", view.values("coco_id"))
    assert_same_numbers(found.metrics(), expected)
    assert dataset.load_evaluation_view("part").values("id") == view.values("id")
    assert dataset.exists("part_tp").values("id") == view.values("id")
    dataset.delete_evaluation("part")


def test_a_view_with_filtered_labels_counts_those_alone(coco, dataset, results):
    import fiftyone as fo

    import fiftyone_promerge as fop

    view = dataset.filter_labels(
        "distinct_segm", fo.ViewField("confidence") > 0.5, only_matches=False
    )
    found = fop.evaluate(view, "distinct_segm", eval_key="high")
    confident = [result for result in results["distinct", "segm"] if result["score"] > 0.5]
    assert_same_numbers(found.metrics(), oracle(coco, confident, "segm"))
    low = dataset.filter_labels("distinct_segm", fo.ViewField("confidence") <= 0.5)
    assert set(low.values("distinct_segm.detections.high", unwind=True)) == {None}
    dataset.delete_evaluation("high")


def test_fiftyone_offers_the_method_by_name(coco, dataset, results):
    import fiftyone_promerge.evaluation.run  # noqa: F401 - importing it registers the method

    found = dataset.limit(5).evaluate_detections(
        "few_bbox", method="pycocotools", eval_key="by_name"
    )
    ids = dataset.limit(5).values("coco_id")
    assert_same_numbers(found.metrics(), oracle(coco, results["few", "bbox"], "bbox", ids))
    counted = dataset.limit(5).sum("by_name_tp")
    assert counted == dataset.count_values("few_bbox.detections.by_name")["tp"]
    dataset.delete_evaluation("by_name")


def test_a_run_can_be_repeated_renamed_and_deleted(dataset):
    import fiftyone_promerge as fop

    fop.evaluate(dataset, "few_segm", eval_key="again")
    fop.evaluate(dataset, "few_segm", eval_key="again", iou_type="segm")
    assert dataset.list_evaluations() == ["again"]
    dataset.rename_evaluation("again", "renamed")
    assert dataset.has_field("renamed_tp") and not dataset.has_field("again_tp")
    assert "tp" in dataset.count_values("few_segm.detections.renamed")
    dataset.delete_evaluation("renamed")
    assert not dataset.list_evaluations()
    assert not dataset.has_field("renamed_tp")


def test_plain_fiftyone_loads_the_run_in_a_new_process(coco, dataset, results):
    import fiftyone_promerge as fop

    found = fop.evaluate(dataset, "equal_segm", eval_key="kept")
    script = (
        "import sys, json, fiftyone as fo\n"
        "dataset = fo.load_dataset('evaluation-tests')\n"
        "results = dataset.load_evaluation_results('kept')\n"
        "assert 'fiftyone_promerge' not in sys.modules\n"
        "assert type(results).__name__ == 'COCODetectionResults'\n"
        "results.plot_pr_curves(backend='matplotlib')\n"
        "results.print_report()\n"
        "print(json.dumps({'mAP': results.mAP(), 'mAR': results.mAR(), **results.metrics()}))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    loaded = json.loads(output.splitlines()[-1])
    expected = oracle(coco, results["equal", "segm"], "segm")
    assert_same_numbers(loaded, expected)
    assert loaded["mAP"] == pytest.approx(expected.stats[0])
    assert loaded["mAR"] == pytest.approx(expected.stats[8])
    assert loaded["support"] == found.metrics()["support"]
    dataset.delete_evaluation("kept")


def square_sample(size=40, **fields):
    import fiftyone as fo

    metadata = fo.ImageMetadata(width=size, height=size)
    detections = {name: fo.Detections(detections=labels) for name, labels in fields.items()}
    return fo.Sample(filepath="square.png", metadata=metadata, **detections)


def square(x, y, side, size=40, **attributes):
    import fiftyone as fo

    box = [x / size, y / size, side / size, side / size]
    mask = np.ones((side, side), dtype=bool)
    return fo.Detection(label="a", bounding_box=box, mask=mask, **attributes)


def test_empty_images_count_rightly(make_dataset):
    """One object found, one missed in an image without predictions, one made up without truth."""
    import fiftyone_promerge as fop

    dataset = make_dataset()
    dataset.add_sample(
        square_sample(truth=[square(5, 5, 20)], found=[square(5, 5, 20, confidence=0.9)])
    )
    dataset.add_sample(square_sample(truth=[square(5, 5, 20)]))
    dataset.add_sample(square_sample(found=[square(5, 5, 20, confidence=0.8)]))
    dataset.add_sample(square_sample())
    metrics = fop.evaluate(dataset, "found", gt_field="truth").metrics()
    assert metrics["AR100"] == pytest.approx(0.5)
    assert metrics["AP"] == pytest.approx(51 / 101)  # precision 1 at recalls 0, 0.01, ..., 0.5
    assert metrics["ARl"] == -1
    assert dataset.values("eval_fn") == [0, 1, 0, 0]
    assert dataset.values("eval_fp") == [0, 0, 1, 0]


def test_matches_of_a_crowd_and_predictions_past_the_hundredth_do_not_count(make_dataset):
    import fiftyone_promerge as fop

    dataset = make_dataset()
    crowd = square(0, 0, 20, iscrowd=1)
    found = [square(i % 5, i // 30, 10, confidence=1 - i / 200) for i in range(100)]
    missed = square(25, 25, 10, confidence=0.01)
    dataset.add_sample(square_sample(truth=[crowd, square(25, 25, 10)], found=[*found, missed]))
    metrics = fop.evaluate(dataset, "found", gt_field="truth").metrics()
    assert metrics["AR100"] == 0
    assert set(dataset.values("found.detections.eval", unwind=True)) == {None}
    assert dataset.values("truth.detections.eval") == [[None, "fn"]]


def test_masks_on_disk_count_like_masks_in_the_database(make_dataset, tmp_path):
    import fiftyone_promerge as fop

    dataset = make_dataset()
    found = square(5, 5, 20, confidence=0.9)
    found.export_mask(str(tmp_path / "mask.png"), update=True)
    assert found.mask is None
    dataset.add_sample(square_sample(truth=[square(5, 5, 20)], found=[found]))
    assert fop.evaluate(dataset, "found", gt_field="truth").metrics()["AP"] == pytest.approx(1)


def test_a_label_without_a_class_is_named(make_dataset):
    import fiftyone_promerge as fop

    dataset = make_dataset()
    found = square(5, 5, 20, confidence=0.9)
    dataset.add_sample(square_sample(truth=[square(5, 5, 20)], found=[found]))
    with pytest.raises(ValueError, match=r"label of 'truth' at .* has no class: its kind"):
        fop.evaluate(dataset, "found", gt_field="truth", classes="kind")
    with pytest.raises(ValueError, match="'' is no name of an attribute"):
        fop.evaluate(dataset, "found", gt_field="truth", classes="")
    assert fop.evaluate(dataset, "found", "truth", classes="label").mAP(["a"]) == pytest.approx(1)


def test_bad_fields_are_named(make_dataset):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset = make_dataset()
    box = fo.Detection(label="a", bounding_box=[0, 0, 0.5, 0.5], confidence=0.5)
    nan = square(5, 5, 10, confidence=float("nan"))
    sample = square_sample(truth=[square(5, 5, 20)], box=[box], unsure=[square(5, 5, 9)], nan=[nan])
    sample["other"] = fo.Classification(label="a")
    dataset.add_sample(sample)
    for field, message in {
        "none": "no field 'none'; the fields of Detections are: .*box",
        "other": "'other' holds Classification, not Detections",
        "box": "'box' at .*square.png has no mask: evaluate boxes",
        "unsure": "confidence None: every prediction needs a finite one",
        "nan": "confidence nan",
    }.items():
        with pytest.raises(ValueError, match=message):
            fop.evaluate(dataset, field, gt_field="truth", eval_key=None)
    with pytest.raises(ValueError, match="choose 'segm'"):
        fop.evaluate(dataset, "box", gt_field="truth", iou_type="masks")
    assert fop.evaluate(dataset, "box", "truth", iou_type="bbox").metrics()["AR100"] == 0


def test_an_image_of_unknown_size_is_named(make_dataset):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset = make_dataset()
    labels = {
        name: fo.Detections(detections=[square(5, 5, 20, confidence=0.5)])
        for name in ("truth", "found")
    }
    dataset.add_sample(fo.Sample(filepath="not-there.png", **labels))
    with pytest.raises(ValueError, match=r"size of .*not-there.png is unknown"):
        fop.evaluate(dataset, "found", gt_field="truth", eval_key=None)
