"""Detectors trained on a view's masks: ProMerge+ and CutLER."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc

from fiftyone_promerge.coco.annotations import (
    batches,
    compute_sizes,
    read_annotations,
)
from fiftyone_promerge.training import (
    RECIPES,
    Progress,
    Recipe,
    Record,
    TrainingOptions,
    TrainingStoppedError,
    World,
    box_mask,
    find_recipe,
    label_records,
    mask_from_rle,
    train,
    validation_images,
    write_results,
)
from promerge_core import PromergeError, Summary
from promerge_core.parameters import takes

from .evaluation.truth import read_truth
from .fields import FieldError, check_detections_field, check_label_field, count_samples
from .fiftyone_internals import ApplyModelCall, root_dataset
from .grouping.names import NO_OBJECT
from .labels import masks_to_detections
from .provenance import package_version, record_run, recorded_run, run_key


@takes(TrainingOptions)
def train_detector(
    samples: foc.SampleCollection | None,
    label_field: str = "promerge",
    *,
    output_dir: str | Path,
    gt_field: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Trains a detector on the masks of a dataset or view: of one class, or with `classes` of many.

    A run that was stopped or killed continues when it is called again with the same folder; the
    images and masks are those it was begun with. Under torchrun, for several machines, every
    process calls it. The labels of a self-training round are written to the field
    `{label_field}_round{number}`, and the run is recorded in the dataset as
    `{label_field}_detector`, or `{label_field}_detector_2` where that is another run. `recipe` can
    also be a `training.Recipe`: one of `training.RECIPES` with other numbers, say.

    Args:
        samples: images, some of them with masks. With `classes` a label can also have a box
            alone, and one that is still called `object` teaches where objects are, not what they
            are. Under torchrun only the process of rank 0 reads them, and others can pass None, so
            that they need no database.
        label_field: the field of `fo.Detections` to train on; `iscrowd` labels are ignored.
        output_dir: a folder of the run's own; in the end `results.json` in it has AP, AP50 and
            AR100 of the labels and the detector of each round on the validation images.
        gt_field: a field of ground truth, `fo.Detections` with masks or boxes, to measure them
            against as well; it is not trained on.
        progress: is called after each iteration, and while labels for a next round are made,
            with the iterations done, those of all rounds, and the latest metrics by name. To
            stop, raise in it: the last checkpoint is written, and what it raised is raised here.
        **options: see `TrainingOptions`.

    Returns:
        the checkpoint, for `load_detector`.

    Raises:
        FieldError: no image has a mask, a label has none, no image has ground truth, or the field
            for a round's labels holds others already.
        CocoError: a field is not one of detections, an image's size is unknown, or a label has no
            class.
        PromergeError: the settings cannot be used, or nothing can be written; see the message.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> photos.apply_model(fop.load_model("embedded", image_size=240), label_field="promerge")
        >>> path = fop.train_detector(photos, output_dir="run", recipe="smoke", weights="random")
        Recipe smoke for 2 images: ...
        >>> path.name
        'detector.pt'
    """
    if options["weights"] is not None:
        options["weights"] = str(options["weights"])
    options["recipe"] = find_recipe(options["recipe"])
    run = functools.partial(train, output_dir=output_dir, progress=progress, **options)
    if World.current().rank != 0:
        return run((), source={})
    if samples is None:
        raise FieldError("there are no samples to train on")
    check_detections_field(samples, label_field)
    if gt_field is not None:
        _check_truth(samples, gt_field, options["classes"])
    compute_sizes(samples)
    dataset = root_dataset(samples)
    _check_round_fields(dataset, label_field, options, output_dir)
    source = {"dataset": dataset.name, "field": label_field, "images": count_samples(samples)}
    key = run_key(dataset, f"{label_field}_detector", method="train_detector")
    before = dataset.get_run_info(key).config if key in dataset.list_runs() else None
    _record(dataset, key, source, options, output_dir, checkpoint=None)
    is_refused = False
    try:
        records = view_records(samples, label_field, options["classes"])
        checkpoint = run(records, source=source)
    except PromergeError as error:
        is_refused = not isinstance(error, TrainingStoppedError)
        raise
    finally:
        if is_refused:
            # What lies in the folder may be another run's; and the record of an earlier training
            # says still what is true.
            _restore(dataset, key, before)
        else:
            _write_rounds(dataset, label_field, output_dir)
    _record(dataset, key, source, options, output_dir, checkpoint)
    keys = [image.key for image in validation_images(output_dir).values()]
    truth = gt_field and read_truth(dataset, gt_field, keys, options["classes"])
    write_results(output_dir, truth)
    return checkpoint


def view_records(
    samples: foc.SampleCollection, label_field: str, classes: str | None = None
) -> Iterator[Record]:
    """The training records of a view's masks, read in batches.

    Args:
        samples: images with metadata.
        label_field: a field of `fo.Detections`.
        classes: the attribute with the name of a label's class; None: all are of one class. With
            classes, a label can have a box alone, and one that is tagged `not_object` is left out.

    Returns:
        one record per image, in the samples' order; one without labels has no masks.

    Raises:
        FieldError: a label has no mask.
        CocoError: an image's size is unknown, or a label has no class.
    """
    for batch in batches(samples):
        columns = batch.values(["id", "filepath", "metadata.height", "metadata.width"])
        annotations = read_annotations(batch, label_field, with_masks=True, classes=classes)
        for key, path, height, width, labels in zip(*columns, annotations, strict=True):
            if not labels:
                yield Record(key, path, height or 0, width or 0, ())
                continue
            if classes is None and any("segmentation" not in label for label in labels):
                raise FieldError(
                    f"a label of {label_field!r} at {path} has no mask: a detector is trained on "
                    f"masks; choose another field"
                )
            if classes is not None:
                labels = [label for label in labels if NO_OBJECT not in label["tags"]]
            crowds, masks = (
                tuple(
                    dataclasses.replace(
                        mask_from_rle(label["segmentation"], _score(label)), label=label["class"]
                    )
                    for label in labels
                    if label["iscrowd"] == is_crowd and "segmentation" in label
                )
                for is_crowd in (1, 0)
            )
            boxes = tuple(
                box_mask(label["bbox"], height, width, label["class"], _score(label))
                for label in labels
                if not label["iscrowd"] and "segmentation" not in label
            )
            yield Record(key, path, height, width, masks, crowds, boxes)


def _check_truth(samples: foc.SampleCollection, gt_field: str, classes: str | None) -> None:
    """Raises an error where there is nothing to measure against, before hours of training."""
    check_detections_field(samples, gt_field)
    if not samples.exists(gt_field).limit(1).values("id"):
        raise FieldError(f"no image has ground truth in {gt_field!r}; choose another field")
    if classes is not None and None in samples.values(
        f"{gt_field}.detections.{classes}", unwind=True
    ):
        raise FieldError(
            f"a label of the ground truth {gt_field!r} has no {classes!r}, the attribute of its "
            f"class"
        )


def _score(label: dict[str, Any]) -> float:
    return 1.0 if label["score"] is None else float(label["score"])


def _check_round_fields(
    dataset: fo.Dataset, label_field: str, options: dict[str, Any], output_dir: str | Path
) -> None:
    """Raises FieldError where the labels of a round would be mixed with others."""
    rounds = options["recipe"].rounds[: options["rounds"]]
    for number in range(1, len(rounds)):
        field = _round_field(label_field, number)
        check_label_field(dataset, field)
        if not dataset.has_field(field) or not dataset.exists(field).limit(1).count():
            continue
        if recorded_run(dataset, field) != _round_record(output_dir, number):
            raise FieldError(
                f"the field {field!r} holds labels that this training did not make, and it would "
                f"write there; rename or delete the field, or train on a clone of {label_field!r}"
            )


def _round_field(label_field: str, number: int) -> str:
    return f"{label_field}_round{number}"


def _round_record(output_dir: str | Path, number: int) -> dict[str, Any]:
    """What made the labels of a round, as `provenance.run_record` says it of masks."""
    return {
        "method": "self_training",
        "backbone": "resnet50",
        "weights": None,
        "parameters": {"output_dir": str(Path(output_dir).resolve()), "round": number},
    }


def _write_rounds(dataset: fo.Dataset, label_field: str, output_dir: str | Path) -> None:
    """Writes the labels that self-training made to fields, samples that have them excepted."""
    for number, records in label_records(output_dir).items():
        field = _round_field(label_field, number)
        call = ApplyModelCall(dataset, field, skip_failures=True)
        record_run(call, _round_record(output_dir, number), Summary())
        done = set(dataset.exists(field).values("id")) if dataset.has_field(field) else set()
        labels = {}
        for record in records:
            if record.key not in done:
                labels[record.key] = masks_to_detections(list(record.instances))
            if len(labels) == 1000:
                dataset.set_values(field, labels, key_field="id")
                labels = {}
        if labels:
            dataset.set_values(field, labels, key_field="id")


def _recorded(recipe: Recipe) -> str | dict[str, Any]:
    """What the dataset keeps of a recipe: the name of one of ours, every number of another."""
    return recipe.name if recipe == RECIPES.get(recipe.name) else recipe.to_dict()


def _restore(dataset: fo.Dataset, key: str, before: Any) -> None:
    """Puts back the record of an earlier run; None: there was none."""
    if before is None:
        dataset.delete_run(key)
    else:
        dataset.register_run(key, before, overwrite=True)


def _record(
    dataset: fo.Dataset,
    key: str,
    source: dict[str, Any],
    options: dict[str, Any],
    output_dir: str | Path,
    checkpoint: Path | None,
) -> None:
    """Registers the training as a run of the dataset; without a checkpoint it is not done yet."""
    config = dataset.init_run(
        method="train_detector",
        source=source,
        options={**options, "recipe": _recorded(options["recipe"])},
        output_dir=str(Path(output_dir).resolve()),
        checkpoint=None if checkpoint is None else str(checkpoint),
        version=package_version(),
    )
    dataset.register_run(key, config, overwrite=True)
