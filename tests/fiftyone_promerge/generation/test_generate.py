"""generate_masks: what is done, what is left alone, and what is refused."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from promerge_core import PromergeError
from promerge_core.options import MaskOptions

PARAMETERS = {"image_size": 64, "seed_stride": 2}

# Labels the dataset in batches of two and kills itself when it has done as many as it is told.
KILLED = """
import os, signal, sys
import torch
import fiftyone as fo
import fiftyone_promerge as fop

torch.set_num_threads(1)
name, done, overlap = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
parameters = {"image_size": 64, "seed_stride": 2, "merge_overlap": overlap}
model = fop.load_model(backbone="embedded", device="cpu", **parameters)
dataset = fo.load_dataset(name)

def die(progress):
    if progress.iteration >= done:
        os.kill(os.getpid(), signal.SIGKILL)

options = {"overwrite": "--overwrite" in sys.argv, "batch_size": 2, "num_workers": 0}
fop.generate_masks(dataset, model, "promerge", progress=die, **options)
"""


@pytest.fixture
def generate(database):
    """generate_masks with batches of two, in this process."""
    from fiftyone_promerge import generate_masks

    def run(samples, model, label_field="promerge", **options):
        options = {"batch_size": 2, "num_workers": 0, **options}
        return generate_masks(samples, model, label_field, **options)

    return run


@pytest.fixture
def field_error(database):
    from fiftyone_promerge.fields import FieldError

    return FieldError


def other_model(**changes):
    import fiftyone_promerge as fop

    return fop.load_model(**{"backbone": "embedded", "device": "cpu", **PARAMETERS, **changes})


def contents(samples, field="promerge"):
    """Every detection of every sample as plain values; None without a label."""
    return [
        label
        and [(one.bounding_box, one.mask.tolist(), one.confidence) for one in label.detections]
        for label in samples.values(field)
    ]


def ids_of(samples, field="promerge"):
    return [label and [one.id for one in label.detections] for label in samples.values(field)]


# What is done ------------------------------------------------------------------------------------


def test_everything_is_done_once_and_then_left_alone(dataset, small_model, generate):
    summary = generate(dataset, small_model)
    assert summary.images == 6
    assert summary.masks == sum(map(len, dataset.values("promerge.detections"))) >= 5
    before = ids_of(dataset)
    assert generate(dataset, small_model).images == 0
    assert ids_of(dataset) == before


def test_only_images_without_a_label_are_done_again(dataset, small_model, generate):
    generate(dataset, small_model)
    before, old_ids = contents(dataset), ids_of(dataset)
    sample = dataset[2:3].first()
    sample.clear_field("promerge")
    sample.save()
    assert generate(dataset, small_model).images == 1
    assert contents(dataset) == before
    new_ids = ids_of(dataset)
    assert new_ids[:2] + new_ids[3:] == old_ids[:2] + old_ids[3:]
    assert new_ids[2] != old_ids[2]


def edit(dataset, number):
    """Draws a label by hand into a sample that has masks."""
    import fiftyone as fo

    sample = dataset[number : number + 1].first()
    sample.promerge.detections.append(fo.Detection(label="drawn", bounding_box=[0, 0, 0.5, 0.5]))
    sample.save()


@pytest.mark.parametrize("batch_size", [2, 6])
def test_labels_that_a_person_edited_stay_when_a_run_continues(
    dataset, small_model, generate, batch_size
):
    generate(dataset.limit(3), small_model)
    edit(dataset, 0)
    edit(dataset, 2)
    before = ids_of(dataset)[:3]
    assert generate(dataset, small_model, batch_size=batch_size).images == 3
    assert ids_of(dataset)[:3] == before
    assert dataset.values("promerge.detections.label")[2][-1] == "drawn"
    assert generate(dataset, small_model, overwrite=True).images == 6
    assert "drawn" not in dataset.distinct("promerge.detections.label")


def test_a_label_that_a_person_draws_while_the_run_works_stays(dataset, small_model, generate):
    import fiftyone as fo

    def draw(progress):
        if progress.iteration == 2:
            last = dataset.last()
            last["promerge"] = fo.Detections(detections=[fo.Detection(label="drawn")])
            last.save()

    dataset.add_sample_field("promerge", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    generate(dataset, small_model, batch_size=1, progress=draw)
    assert dataset.values("promerge.detections.label")[-1] == ["drawn"]


def test_patches_of_finished_images_are_left_alone(dataset, small_model, generate):
    import fiftyone as fo

    for sample in dataset.limit(3).iter_samples(autosave=True):
        boxes = [[0, 0, 1, 1], [0.2, 0.2, 0.6, 0.6]]
        detections = [fo.Detection(label="x", bounding_box=box) for box in boxes]
        sample["boxes"] = fo.Detections(detections=detections)
    generate(dataset.limit(1).to_patches("boxes"), small_model)
    edit(dataset, 0)
    before = ids_of(dataset)[0]
    assert generate(dataset.to_patches("boxes"), small_model).images == 4
    assert ids_of(dataset)[0] == before
    assert len(dataset.exists("promerge")) == 3


def test_patches_are_written_image_by_image(dataset, small_model, generate):
    import fiftyone as fo

    def interrupt(progress):
        if progress.iteration >= 3:
            raise KeyboardInterrupt

    for sample in dataset.limit(2).iter_samples(autosave=True):
        detections = [fo.Detection(label="x", bounding_box=[0, 0, 1, 1])] * 2
        sample["boxes"] = fo.Detections(detections=[one.copy() for one in detections])
    patches = dataset.to_patches("boxes")
    with pytest.raises(KeyboardInterrupt):
        generate(patches, small_model, batch_size=1, progress=interrupt)
    assert len(dataset.exists("promerge")) == 1
    assert generate(patches, small_model).images == 2
    assert len(dataset.exists("promerge")) == 2


def test_new_images_of_a_dataset_are_done_alone(dataset, small_model, generate, photos):
    generate(dataset.limit(4), small_model)
    assert [label is None for label in dataset.values("promerge")] == [False] * 4 + [True] * 2
    assert generate(dataset, small_model).images == 2


def test_an_interrupted_run_goes_on_to_the_same_masks(dataset, small_model, generate):
    generate(dataset, small_model, "undisturbed")

    def interrupt(progress):
        if progress.iteration >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(dataset, small_model, progress=interrupt)
    unfinished = sum(label is None for label in dataset.values("promerge"))
    assert 2 <= unfinished < 6
    assert generate(dataset, small_model).images == unfinished
    assert contents(dataset) == contents(dataset, "undisturbed")


def kill(dataset, *arguments):
    """Runs generate_masks in a process that kills itself."""
    dataset.persistent = True
    done = subprocess.run(
        [sys.executable, "-c", KILLED, dataset.name, *map(str, arguments)],
        cwd=Path(__file__).parents[3],
        # Every sample is written at once.
        env={
            **os.environ,
            "FIFTYONE_DEFAULT_BATCHER": "static",
            "FIFTYONE_BATCHER_STATIC_SIZE": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    dataset.reload()


def test_a_killed_run_goes_on_to_the_same_masks(dataset, small_model, generate):
    generate(dataset, small_model, "undisturbed")
    kill(dataset, 4, small_model.config.merge_overlap)
    unfinished = sum(label is None for label in dataset.values("promerge"))
    assert 0 < unfinished < 6
    summary = generate(dataset, small_model)
    assert unfinished <= summary.images < 6
    assert contents(dataset) == contents(dataset, "undisturbed")


def test_a_killed_overwrite_does_not_leave_a_mixture(dataset, small_model, generate):
    other = other_model(merge_overlap=0.9)
    generate(dataset, small_model)
    kill(dataset, 2, 0.9, "--overwrite")
    generate(dataset, other)
    found = contents(dataset)
    generate(dataset, other, overwrite=True)
    assert contents(dataset) == found
    assert dataset.get_run_info("promerge").config.parameters["merge_overlap"] == 0.9


def test_overwriting_does_all_images_with_the_new_parameters(
    dataset, small_model, generate, field_error
):
    generate(dataset, small_model)
    other = other_model(score="constant")
    with pytest.raises(field_error, match="made with score stability, now it is constant"):
        generate(dataset, other)
    assert generate(dataset, other, overwrite=True).images == 6
    scores = dataset.values("promerge.detections.confidence", unwind=True)
    assert set(scores) == {1.0}
    assert generate(dataset, other).images == 0


def test_overwriting_a_view_leaves_the_others_alone(dataset, small_model, generate):
    generate(dataset, small_model)
    before = ids_of(dataset)
    assert generate(dataset.limit(2), small_model, overwrite=True).images == 2
    after = ids_of(dataset)
    assert after[2:] == before[2:]
    assert after[0] != before[0]


def test_a_broken_image_is_counted_and_its_batch_tried_again(
    dataset, small_model, generate, broken
):
    import fiftyone as fo

    dataset.add_sample(fo.Sample(filepath=broken))
    summary = generate(dataset, small_model)
    assert (summary.images, [image.path for image in summary.skipped]) == (6, [broken])
    again = generate(dataset, small_model)
    assert (again.images, [image.path for image in again.skipped]) == (0, [broken])


def test_a_backbone_that_breaks_stops_the_run_and_what_was_done_is_kept(
    dataset, small_model, generate
):
    import torch

    from promerge_core import PromergeError

    class Breaks(type(small_model.generator.backbone)):
        batches = 0

        def forward(self, images):
            self.batches += 1
            return super().forward(images) * (1 if self.batches == 1 else torch.nan)

    small_model.generator.backbone = Breaks()
    with pytest.raises(PromergeError, match="the backbone's weights are broken"):
        generate(dataset, small_model)
    assert len(dataset.exists("promerge")) == 2


def test_masks_may_go_to_files(dataset, small_model, generate, tmp_path):
    generate(dataset, small_model, masks_dir=tmp_path / "masks")
    detections = [one for label in dataset.values("promerge.detections") for one in label]
    assert detections
    assert all(one.mask is None and Path(one.mask_path).is_file() for one in detections)
    assert all(np.any(one.get_mask()) for one in detections)


@pytest.mark.parametrize("to_files", [False, True])
def test_vectors_come_with_the_masks_and_equal_those_made_after_them(
    dataset, small_model, generate, tmp_path, to_files
):
    import fiftyone_promerge as fop

    generate(dataset, small_model, embeddings=True, masks_dir=tmp_path if to_files else None)
    path = "promerge.detections.embedding"
    during = [np.stack(own) for own in dataset.values(path) if own]
    assert len(during) == 5 and all(own.dtype == np.float32 for own in during)
    assert fop.embed_masks(dataset, "promerge", backbone="embedded").masks == 0
    fop.embed_masks(dataset, "promerge", backbone="embedded", overwrite=True)
    after = [np.stack(own) for own in dataset.values(path) if own]
    assert all(np.array_equal(a, b) for a, b in zip(during, after, strict=True))
    assert dataset.get_run_info("promerge").config.options["embeddings"] is True


def test_a_run_that_continues_with_vectors_leaves_the_rest_to_embed_masks(
    dataset, small_model, generate
):
    import fiftyone_promerge as fop

    generate(dataset.limit(2), small_model)
    made = generate(dataset, small_model, embeddings=True).masks
    assert dataset.count("promerge.detections.embedding") == made
    rest = fop.embed_masks(dataset, "promerge", backbone="embedded").masks
    assert rest and made + rest == dataset.count("promerge.detections")


def test_vectors_of_other_masks_are_not_mixed(dataset, small_model, generate, field_error):
    generate(dataset, small_model, embeddings=True)
    other = other_model(image_size=72)
    with pytest.raises(field_error, match="'embedding' were made with embedded from images of 64"):
        generate(dataset.limit(2), other, overwrite=True, embeddings=True)
    assert all(own is not None for own in dataset.values("promerge"))
    assert generate(dataset, other, overwrite=True, embeddings=True).masks


def test_what_gives_no_vectors_is_said(dataset, small_model, generate, checkpoint):
    import fiftyone_promerge as fop
    from promerge_core import PromergeError

    with pytest.raises(PromergeError, match="a detector gives no vectors"):
        generate(dataset, fop.load_detector(checkpoint), "found", embeddings=True)
    generate(dataset, small_model)
    with pytest.raises(PromergeError, match="masks of patches get no vectors"):
        generate(dataset.to_patches("promerge"), small_model, "parts", embeddings=True)
    assert not dataset.has_field("found") and not dataset.has_field("parts")


def test_progress_is_told(dataset, small_model, generate):
    told = []
    generate(dataset, small_model, progress=lambda progress: told.append(progress.iteration))
    assert told[-1] == 6


@pytest.mark.parametrize("skip_unreadable", [None, False, True])
def test_the_callers_model_is_as_it_was_after_a_run(
    dataset, small_model, generate, skip_unreadable
):
    small_model.skip_unreadable = skip_unreadable
    before = dict(small_model.options)
    generate(dataset.limit(2), small_model)

    def fail(images):
        raise RuntimeError("the model fails")

    small_model.predict_prepared = fail
    with pytest.raises(RuntimeError, match="the model fails"):
        generate(dataset, small_model)
    assert small_model.skip_unreadable is skip_unreadable
    assert (small_model.writer, small_model.options) == (None, before)


def test_a_model_skips_what_it_skipped_before_a_run(dataset, small_model, generate, broken):
    import fiftyone as fo

    from promerge_core import ImageError

    dataset.add_sample(fo.Sample(filepath=broken))
    assert len(generate(dataset, small_model).skipped) == 1
    with pytest.raises(ImageError, match="not an image"):
        dataset.apply_model(small_model, "again", num_workers=0, skip_failures=False)


def test_every_run_option_is_taken_and_nothing_else(dataset, small_model):
    import fiftyone_promerge as fop

    parameters = inspect.signature(fop.generate_masks).parameters
    declared = {one.name: one.default for one in MaskOptions.parameters()}
    found = {name: parameters[name].default for name in declared}
    assert found == {**declared, "num_workers": None}
    with pytest.raises(TypeError, match="batchsize"):
        fop.generate_masks(dataset, small_model, batchsize=2)


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"merge_overlap": 0.4}, "merge_overlap 0.5, now it is 0.4"),
        ({"image_size": 72}, "image_size 64, now it is 72"),
        ({"method": "maskcut", "seed_stride": None}, "method promerge, now it is maskcut"),
    ],
)
def test_masks_of_other_parameters_are_not_mixed(
    dataset, small_model, generate, field_error, changes, name
):
    generate(dataset.limit(2), small_model)
    parameters = {name: value for name, value in {**PARAMETERS, **changes}.items() if value}
    import fiftyone_promerge as fop

    other = fop.load_model(backbone="embedded", device="cpu", **parameters)
    with pytest.raises(field_error, match=name):
        generate(dataset, other)
    assert [label is None for label in dataset.values("promerge")] == [False] * 2 + [True] * 4


def test_masks_of_other_weights_are_not_mixed(dataset, small_model, generate, field_error):
    from fiftyone_promerge import ProMergeModel

    generate(dataset.limit(2), small_model)
    other = ProMergeModel(small_model.generator, weights="other.pth")
    with pytest.raises(field_error, match=r"weights None, now it is other\.pth"):
        generate(dataset, other)


def draw_elsewhere(samples, field="promerge"):
    """Puts a label that is not ours into the first sample."""
    import fiftyone as fo

    sample = samples.first()
    sample[field] = fo.Detections(detections=[fo.Detection(label="cat")])
    sample.save()


@pytest.mark.parametrize("overwrite", [False, True])
def test_labels_made_elsewhere_are_not_touched(
    dataset, small_model, generate, field_error, overwrite
):
    draw_elsewhere(dataset, "ground_truth")
    said = "labels that were not made here.* write to another field, for example 'promerge'"
    # Outside a view too: a record of ours would claim the whole field.
    for samples in (dataset, dataset.skip(1)):
        with pytest.raises(field_error, match=said):
            generate(samples, small_model, "ground_truth", overwrite=overwrite)
    assert dataset.values("ground_truth.detections.label")[0] == ["cat"]
    assert len(dataset.exists("ground_truth")) == 1
    assert not dataset.list_runs()


def test_labels_that_came_into_a_field_of_ours_are_not_overwritten(
    dataset, small_model, generate, field_error
):
    generate(dataset, small_model)
    before = ids_of(dataset)
    draw_elsewhere(dataset)
    with pytest.raises(field_error, match=r"not made here.* for example 'promerge_2'"):
        generate(dataset, small_model, overwrite=True)
    assert dataset.values("promerge.detections.label")[0] == ["cat"]
    assert ids_of(dataset)[1:] == before[1:]
    assert generate(dataset, small_model).images == 0
    assert generate(dataset.skip(1), small_model, overwrite=True).images == 5


def test_a_field_that_was_replaced_by_labels_from_elsewhere_is_not_overwritten(
    dataset, small_model, generate, field_error
):
    generate(dataset, small_model)
    dataset.delete_sample_field("promerge")
    draw_elsewhere(dataset)
    with pytest.raises(field_error, match="not made here"):
        generate(dataset, small_model, overwrite=True)
    assert dataset.values("promerge.detections.label")[0] == ["cat"]


def test_patches_do_not_replace_labels_made_elsewhere(dataset, small_model, generate, field_error):
    draw_elsewhere(dataset, "ground_truth")
    for overwrite in (False, True):
        with pytest.raises(field_error, match="not made here"):
            patches = dataset.to_patches("ground_truth")
            generate(patches, small_model, "ground_truth", overwrite=overwrite)
    assert dataset.values("ground_truth.detections.label")[0] == ["cat"]


def test_samples_that_are_no_images_are_refused(make_dataset, small_model, generate, field_error):
    import fiftyone as fo

    groups = make_dataset()
    groups.add_group_field("group", default="left")
    groups.add_sample(fo.Sample(filepath="a.png", group=fo.Group().element("left")))
    videos = make_dataset()
    videos.add_sample(fo.Sample(filepath="a.mp4"))
    for samples in (groups, videos):
        with pytest.raises(field_error, match=f"media type {samples.media_type}, not image"):
            generate(samples, small_model)
        assert not samples.list_runs()


def test_an_empty_field_of_detections_may_be_filled(dataset, small_model, generate):
    import fiftyone as fo

    dataset.add_sample_field("promerge", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    assert generate(dataset, small_model).images == 6


@pytest.mark.parametrize("name", ["filepath", "id", "tags", "metadata", "created_at"])
def test_fields_that_every_dataset_has_are_refused(
    dataset, small_model, generate, field_error, name
):
    with pytest.raises(field_error, match=f"'{name}' holds .*, not Detections"):
        generate(dataset, small_model, name)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["Classification", "Polylines", "Segmentation", "float"])
def test_fields_of_another_type_are_refused(
    dataset, small_model, generate, field_error, kind, overwrite
):
    import fiftyone as fo

    if kind == "float":
        dataset.add_sample_field("promerge", fo.FloatField)
        kind = "FloatField"
    else:
        document = getattr(fo, kind)
        dataset.add_sample_field("promerge", fo.EmbeddedDocumentField, embedded_doc_type=document)
    with pytest.raises(field_error, match=f"'promerge' holds {kind}, not Detections"):
        generate(dataset, small_model, overwrite=overwrite)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "1a", "_private", "a-b", "$a", "frames.masks"])
def test_names_that_no_field_can_have_are_refused(
    dataset, small_model, generate, field_error, name
):
    before = set(dataset.get_field_schema())
    with pytest.raises(field_error, match="is no name for a field"):
        generate(dataset, small_model, name)
    assert set(dataset.get_field_schema()) == before


@pytest.mark.parametrize(
    ("delete", "said"),
    [
        (lambda dataset: dataset.delete(), "the dataset '.*' is deleted: it was there when"),
        (
            lambda dataset: dataset.delete_samples(dataset.skip(3).values("id")),
            "samples were deleted from the dataset while the run worked: what was done is kept",
        ),
    ],
)
def test_a_dataset_or_samples_that_are_deleted_meanwhile_are_one_sentence(
    dataset, small_model, delete, said
):
    import fiftyone as fo

    import fiftyone_promerge as fop

    calls = []

    def progress(bar):
        calls.append(bar)
        if len(calls) == 2:
            delete(dataset)

    options = {"batch_size": 1, "num_workers": 0}
    with pytest.raises(PromergeError, match=said):
        fop.generate_masks(dataset, small_model, "masks", progress=progress, **options)
    if fo.dataset_exists(dataset.name):
        done = len(dataset.exists("masks"))
        assert 0 < done <= len(dataset) == 3
        fop.generate_masks(dataset, small_model, "masks", **options)
        assert len(dataset.exists("masks")) == 3
