"""Which fields are compared where nobody has said it."""

from __future__ import annotations

import pytest


@pytest.fixture
def labelled(dataset):
    """Six photos with fields of detections of these names; the last on two photos alone."""
    import fiftyone as fo

    def make(*fields):
        for field in fields:
            some = dataset.limit(2) if field == fields[-1] else dataset
            for sample in some:
                sample[field] = fo.Detections()
                sample.save()
        return dataset

    return make


def test_the_usual_name_is_ground_truth(labelled):
    from fiftyone_promerge.evaluation.choice import ground_truth_field, predicted_field

    dataset = labelled("other", "ground_truth", "found")
    assert ground_truth_field(dataset, ["found"]) == "ground_truth"
    assert predicted_field(dataset) == "found"


def test_the_only_other_field_is_ground_truth_and_a_choice_is_left_to_the_person(labelled):
    from fiftyone_promerge.evaluation.choice import ground_truth_field

    dataset = labelled("boxes", "found")
    assert ground_truth_field(dataset, ["found"]) == "boxes"
    dataset = labelled("others", "more")
    assert ground_truth_field(dataset, ["found"]) is None


def test_images_that_were_not_done_are_said_to_be_missed(labelled):
    from fiftyone_promerge.evaluation.choice import missed_warning

    dataset = labelled("boxes", "found")
    assert missed_warning(dataset, "boxes") is None
    assert missed_warning(dataset, "found") == (
        "found was made for 2 of 6 images; the objects of the other 4 count as missed"
    )


def test_the_only_field_is_the_one_to_judge(labelled):
    from fiftyone_promerge.evaluation.choice import predicted_field

    assert predicted_field(labelled("boxes")) == "boxes"


def test_a_field_of_the_usual_name_is_no_prediction_even_if_it_was_made_here(dataset):
    import fiftyone_promerge as fop
    from fiftyone_promerge.evaluation.choice import ground_truth_field, predicted_field

    for field in ("promerge", "ground_truth"):
        dataset.limit(1).apply_model(fop.load_model("embedded", image_size=64), field)
    assert predicted_field(dataset) == "promerge"
    assert ground_truth_field(dataset, ["promerge"]) == "ground_truth"
