"""pycocotools as a method of FiftyOne's: under its name, and stored so that FiftyOne reads it."""

from __future__ import annotations

import pytest


@pytest.fixture
def squares(make_dataset):
    """A cat that is found, a mug that is taken for a cat, and a cup where nothing is."""
    import fiftyone as fo

    def detections(*labels, **attributes):
        return fo.Detections(
            detections=[
                fo.Detection(label=name, bounding_box=[x, 0.1, 0.2, 0.2], **attributes)
                for name, x in labels
            ]
        )

    dataset = make_dataset()
    sample = fo.Sample("squares.png", metadata=fo.ImageMetadata(width=100, height=100))
    sample["truth"] = detections(("cat", 0.1), ("mug", 0.4))
    sample["found"] = detections(("cat", 0.1), ("cat", 0.4), ("cup", 0.7), confidence=0.5)
    dataset.add_sample(sample)
    return dataset


def test_by_name_all_labels_are_of_one_class(squares):
    import fiftyone_promerge.evaluation.method  # noqa: F401 - importing it registers the method

    found = squares.evaluate_detections("found", "truth", eval_key="one", method="pycocotools")
    assert squares.values("one_tp") == [2]
    assert list(found.classes) == ["object"]
    assert not squares.get_evaluation_info("one").config.classwise


def test_a_run_class_by_class_is_fiftyones_own(squares):
    import fiftyone as fo
    import fiftyone.utils.eval.coco as fouc

    import fiftyone_promerge as fop

    fop.evaluate(squares, "found", "truth", "by_class", "bbox", classes="label")
    loaded = fo.load_dataset(squares.name).load_evaluation_results("by_class", cache=False)
    assert type(loaded) is fouc.COCODetectionResults
    assert type(loaded.config) is fouc.COCOEvaluationConfig and loaded.config.classwise
    assert list(loaded.classes) == ["cat", "cup", "mug"]
    # A cat and a mistake of equal scores: half of the precision, or all where the cat comes first.
    assert loaded.mAP(["mug"]) == 0 and loaded.mAP(["cup"]) == -1 and loaded.mAP(["cat"]) > 0.4
    report = loaded.report()
    assert report["cat"]["precision"] == 0.5 and report["cat"]["recall"] == 1
    assert report["mug"]["support"] == 1 and report["mug"]["recall"] == 0
    assert squares.values("found.detections.by_class") == [["tp", "fp", "fp"]]
    assert squares.values("truth.detections.by_class") == [["tp", "fn"]]
