"""The record of how a field's masks came to be, kept as a run of the dataset."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc

from promerge_core import Summary
from promerge_core.config import Config
from promerge_core.options import BackboneOptions, MaskOptions

from .fields import FieldError, free_field
from .fiftyone_internals import ApplyModelCall, root_dataset


def run_record(method: str, backbone: str, weights: str | None, config: Config) -> dict[str, Any]:
    """What makes masks, ready for JSON.

    Args:
        method: the method's name.
        backbone: the backbone's name.
        weights: the backbone's weights file, or None for the pretrained ones.
        config: the parameters of the method.

    Returns:
        a dict of `method`, `backbone`, `weights` and, as a dict, `parameters`.
    """
    return {
        "method": method,
        "backbone": backbone,
        "weights": weights,
        "parameters": config.to_dict(),
    }


def record_run(
    call: ApplyModelCall,
    record: dict[str, Any],
    summary: Summary,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Registers the run under the field's name: `dataset.get_run_info(field).config`.

    An earlier run of the same field is replaced, and no other: see `run_key`. Dots in the name of
    a frame field become underscores.

    Args:
        call: the call that made the masks.
        record: what made them: method, backbone, weights, parameters.
        summary: what came out.
        options: options of the run by name; those among the call's arguments are added.
    """
    told = [one.name for one in MaskOptions.parameters() if one.name in call.arguments]
    dataset = root_dataset(call.samples)
    config = dataset.init_run(
        **record,
        options={**(options or {}), **{name: call.arguments[name] for name in told}},
        version=package_version(),
        summary=_bounded(summary.to_dict()),
        label_field=call.label_field,
    )
    dataset.register_run(mask_run_key(dataset, call.label_field), config, overwrite=True)


def mask_run_key(dataset: fo.Dataset, label_field: str) -> str:
    """The key of the run that made a field, or that a run which makes it will have.

    Args:
        dataset: the dataset.
        label_field: the field.

    Returns:
        the key, see `run_key`.
    """
    # The name of a run may have no dot, which that of a frame field has.
    return run_key(dataset, label_field.replace(".", "_"), label_field=label_field)


def run_key(dataset: fo.Dataset, name: str, **facts: Any) -> str:
    """The key under which a run is recorded: `name`, or `name_2` and so on where that is another's.

    A training on the field X is recorded as X_detector, which may be a field of masks as well, and
    one record must not replace the other.

    Args:
        dataset: the dataset.
        name: the name that the run has where it is free.
        **facts: values by which the record of the very same run is known.

    Returns:
        the key of that record, or a free one.
    """
    taken = dataset.list_runs()
    numbered = (f"{name}_{number}" for number in itertools.count(2))

    def is_own(key: str) -> bool:
        config = dataset.get_run_info(key).config.serialize()
        return all(config.get(fact) == value for fact, value in facts.items())

    keys = itertools.chain([name], numbered)
    return next(key for key in keys if key not in taken or is_own(key))


def _bounded(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with at most 100 skipped images named: a dataset's document has 16 MB."""
    return {
        **summary,
        "skipped": summary["skipped"][:100],
        "skipped_count": len(summary["skipped"]),
    }


def package_version() -> str:
    """Version of this package; `source` where it runs without being installed."""
    try:
        return version("fiftyone-promerge")
    except PackageNotFoundError:
        return "source"


def recorded_run(samples: foc.SampleCollection, label_field: str) -> dict[str, Any] | None:
    """What made a field's masks.

    Args:
        samples: a dataset or view.
        label_field: the field.

    Returns:
        `method`, `backbone`, `weights` and `parameters`, as `run_record` gives them, and the
        run's options that decide the masks, where they were recorded; None where it is not known
        what made the masks.
    """
    dataset = root_dataset(samples)
    key = mask_run_key(dataset, label_field)
    if key not in dataset.list_runs():
        return None
    run = dataset.get_run_info(key).config.serialize()
    made_by = {name: run[name] for name in ("method", "backbone", "weights", "parameters")}
    options = run.get("options", {})
    declared = (*BackboneOptions.parameters(), *MaskOptions.parameters())
    deciding = [one.name for one in declared if one.decides and one.name in options]
    return {**made_by, **{name: options[name] for name in deciding}}


def recorded_parameters(samples: foc.SampleCollection, label_field: str) -> dict[str, Any] | None:
    """What made a field's masks, by name.

    Args:
        samples: a dataset or view.
        label_field: the field.

    Returns:
        as `flatten_record` gives it; None where it is not known what made the masks.
    """
    run = recorded_run(samples, label_field)
    return None if run is None else flatten_record(run)


def flatten_record(record: dict[str, Any]) -> dict[str, Any]:
    """Method, backbone, weights and every parameter of a record, by name."""
    made_by = {name: record[name] for name in ("method", "backbone", "weights")}
    return {**made_by, **record["parameters"]}


def check_made_here(samples: foc.SampleCollection, label_field: str) -> None:
    """Makes sure that a field of a dataset, inside a view and outside, has our labels or none.

    Args:
        samples: a dataset or view.
        label_field: the field, which may not exist yet.

    Raises:
        FieldError: it has labels, and no record of ours; the message names another field.
    """
    dataset = root_dataset(samples)
    if not dataset.has_field(label_field) or recorded_run(dataset, label_field) is not None:
        return
    if dataset.exists(label_field).limit(1).count():
        raise _foreign_labels(dataset, label_field)


def check_same_parameters(
    samples: foc.SampleCollection, record: dict[str, Any], label_field: str
) -> None:
    """Checks that a field's masks were made as a model's record says; options may differ.

    Args:
        samples: a dataset or view that has the field.
        record: what the model is, as `run_record` gives it.
        label_field: the field of the masks.

    Raises:
        FieldError: method, backbone, weights or a parameter differ, or labels were not made here.
    """
    recorded = recorded_parameters(samples, label_field)
    current = flatten_record(record)
    if recorded is None:
        check_made_here(samples, label_field)
        return
    for name, value in current.items():
        if recorded.get(name) != value:
            raise FieldError(
                f"the masks in {label_field!r} were made with {name} {recorded.get(name)}, "
                f"now it is {value}; choose another field, or overwrite it"
            )


def check_replaceable(samples: foc.SampleCollection, label_field: str) -> None:
    """Makes sure that the labels of samples may be replaced: that all of them were made here.

    The record alone does not tell: a person may have put labels of their own into the field since.

    Args:
        samples: the samples whose labels would be replaced.
        label_field: the field, which may not exist yet.

    Raises:
        FieldError: somebody else made labels of it; the message names another field.
    """
    if not samples.has_field(label_field):
        return
    check_made_here(samples, label_field)
    name = label_field.removeprefix("frames.")
    # What is made here has a reason, be it null: see `labels.masks_to_detections`.
    made_elsewhere: dict[str, Any] = {name: {"$ne": None}, f"{name}.reason": {"$exists": False}}
    if name != label_field:
        made_elsewhere = {"frames": {"$elemMatch": made_elsewhere}}
    if samples.mongo([{"$match": made_elsewhere}]).limit(1).count():
        raise _foreign_labels(samples, label_field)


def _foreign_labels(samples: foc.SampleCollection, label_field: str) -> FieldError:
    return FieldError(
        f"the field {label_field!r} holds labels that were not made here, and these are never "
        f"replaced; write to another field, for example {free_field(samples)!r}"
    )
