import pytest

from promerge_core import PromergeError


@pytest.fixture
def masks(dataset, small_model):
    import fiftyone_promerge as fop

    fop.generate_masks(dataset, small_model, "promerge", num_workers=0)
    return dataset


def test_a_broken_image_is_skipped_and_samples_without_detections_are_passed_over(masks, broken):
    import fiftyone as fo

    import fiftyone_promerge as fop

    box = fo.Detection(label="object", bounding_box=[0, 0, 0.5, 0.5])
    masks.add_sample(fo.Sample(broken, promerge=fo.Detections(detections=[box])))
    masks.add_sample(fo.Sample("none.png"))
    summary = fop.embed_masks(masks, "promerge", backbone="embedded")
    assert [one.path for one in summary.skipped] == [broken] and summary.masks > 0


def test_a_run_goes_on_where_the_last_one_ended(masks):
    import fiftyone_promerge as fop

    done = fop.embed_masks(masks.limit(2), "promerge", backbone="embedded").masks
    rest = fop.embed_masks(masks, "promerge", backbone="embedded").masks
    assert done and rest and done + rest == masks.count("promerge.detections")


def test_vectors_of_another_backbone_are_replaced_only_when_asked_to(masks):
    import fiftyone_promerge as fop

    fop.embed_masks(masks, "promerge", backbone="embedded")
    with pytest.raises(
        PromergeError, match="were made with embedded from images of 64 pixels; choose"
    ):
        fop.embed_masks(masks, "promerge", backbone="dino_vits8")
    again = fop.embed_masks(masks, "promerge", backbone="embedded", overwrite=True)
    assert again.masks == masks.count("promerge.detections")


def test_a_field_without_masks_is_a_sentence(dataset):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset.add_sample_field("empty", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    with pytest.raises(PromergeError, match="'empty' has no masks"):
        fop.embed_masks(dataset, "empty", backbone="embedded")
    with pytest.raises(PromergeError, match="There is no field 'nothing'"):
        fop.embed_masks(dataset, "nothing", backbone="embedded")
