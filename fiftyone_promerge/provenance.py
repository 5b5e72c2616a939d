"""The record of how a field's masks came to be, kept as a run of the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import fiftyone.core.collections as foc

from promerge_core import Summary
from promerge_core.config import Config
from promerge_core.options import BackboneOptions, RunOptions

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

    An earlier run of the same field is replaced. Dots in the name of a frame field become
    underscores.

    Args:
        call: the call that made the masks.
        record: what made them: method, backbone, weights, parameters.
        summary: what came out.
        options: options of the run by name; those among the call's arguments are added.
    """
    told = [one.name for one in RunOptions.parameters() if one.name in call.arguments]
    dataset = root_dataset(call.samples)
    config = dataset.init_run(
        **record,
        options={**(options or {}), **{name: call.arguments[name] for name in told}},
        version=package_version(),
        summary=_bounded(summary.to_dict()),
        label_field=call.label_field,
    )
    dataset.register_run(call.label_field.replace(".", "_"), config, overwrite=True)


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
    if label_field not in dataset.list_runs():
        return None
    run = dataset.get_run_info(label_field).config.serialize()
    # A training on the field X is the run X_detector, which tells nothing of a field of that name.
    if run.get("label_field") != label_field:
        return None
    made_by = {name: run[name] for name in ("method", "backbone", "weights", "parameters")}
    options = run.get("options", {})
    declared = (*BackboneOptions.parameters(), *RunOptions.parameters())
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
