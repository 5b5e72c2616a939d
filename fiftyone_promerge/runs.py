"""The record of how a field's masks came to be, kept as a run of the dataset."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import fiftyone.core.collections as foc
import fiftyone.core.models as fom

if TYPE_CHECKING:
    from .model import ProMergeModel


class ApplyModelCall(NamedTuple):
    """The arguments of `apply_model` that a model is not told."""

    samples: foc.SampleCollection
    label_field: str
    skip_failures: bool


def current_apply_model_call() -> ApplyModelCall | None:
    """The call of FiftyOne's `apply_model` we are in, or None.

    FiftyOne does not tell a model for which samples and which field it works, nor whether
    failures may be skipped; its own frame on the stack does.
    """
    for frame in _frames():
        if frame.f_code is fom.apply_model.__code__:
            values = frame.f_locals
            return ApplyModelCall(*(values[name] for name in ApplyModelCall._fields))
    return None


def _frames() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def record_run(call: ApplyModelCall, model: ProMergeModel) -> None:
    """Registers the run under the field's name: `dataset.get_run_info(field).config`.

    An earlier run of the same field is replaced. Dots in the name of a frame field become
    underscores.
    """
    dataset = call.samples._root_dataset
    config = dataset.init_run(**run_record(model), label_field=call.label_field)
    key = call.label_field.replace(".", "_")
    dataset.register_run(key, config, overwrite=True)


def run_record(model: ProMergeModel) -> dict[str, Any]:
    """What made the masks: method, backbone, weights, parameters, version, and what came out."""
    return {
        "method": model.name,
        "backbone": model.generator.backbone.name,
        "weights": model.weights,
        "parameters": model.generator.config.to_dict(),
        "version": package_version(),
        "summary": _bounded(model.summary.to_dict()),
    }


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


def recorded_parameters(samples: foc.SampleCollection, label_field: str) -> dict[str, Any] | None:
    """Method, backbone and parameters that made a field's masks; None without a record."""
    dataset = samples._root_dataset
    if label_field not in dataset.list_runs():
        return None
    config = dataset.get_run_info(label_field).config
    return {"method": config.method, "backbone": config.backbone, **config.parameters}
