"""The operator `load_benchmark`: one of the paper's six benchmarks as a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.benchmarks.load import GT_FIELD, load_benchmark
from fiftyone_promerge.benchmarks.registry import BENCHMARKS, where_to_get
from fiftyone_promerge.fields import has_dataset
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report
from promerge_core import PromergeError


class LoadBenchmark(RunOperator):
    """Loads the images and annotations of a benchmark."""

    name = "load_benchmark"
    label = "Load a benchmark (ProMerge)"
    description = "The images and ground truth of a benchmark, such as COCO, as a new dataset"
    icon = "library_add"
    for_samples = False
    help_page = "evaluation"

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        names = {name: entry.title for name, entry in BENCHMARKS.items()}
        name = form.choice("name", names, "coco2017", label="Benchmark")
        form.inputs.md(where_to_get(name), name="where_to_get")
        downloaded = BENCHMARKS[name].is_downloaded
        files = {"images_dir": "Folder of the images", "annotations": "Annotations"}
        where = "A path on the machine that runs FiftyOne"
        if downloaded:
            where += "; leave both paths empty, and both are downloaded"
        for key, label in files.items():
            form.text(key, label=label, description=where, is_path=True, required=not downloaded)
        form.check(
            "annotations",
            lambda: _check_both(form.values["images_dir"], form.values["annotations"]),
        )
        dataset = form.text(
            "dataset_name", name, label="Name of the dataset", description="It must be a new one"
        )
        form.check("dataset_name", lambda: _check_new(dataset))
        will = f"Makes the new dataset {dataset} of the benchmark's images and ground truth"
        notice = types.Property(types.Void(), view=types.Notice(label=will))
        form.inputs.properties = {"will_do": notice, **form.inputs.properties}
        return form

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"the benchmark {values['name']}"

    def work(
        self, ctx: foo.ExecutionContext, values: dict[str, Any], report: Report
    ) -> dict[str, Any]:
        """See `RunOperator`."""
        report(0, f"Reading the annotations of {values['name']}")
        dataset = load_benchmark(
            values["name"],
            images_dir=values["images_dir"],
            annotations=values["annotations"],
            dataset_name=values["dataset_name"],
        )
        dataset.persistent = True
        return {
            "dataset": dataset.name,
            "images": len(dataset),
            "objects": dataset.count(f"{GT_FIELD}.detections"),
            "missing": len(dataset.info["missing_images"]),
        }

    def show(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
        """See `RunOperator`."""
        yield ctx.ops.open_dataset(result["dataset"])

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`."""
        text = (
            f"The dataset `{result['dataset']}` has **{result['images']} images** with "
            f"{result['objects']} objects."
        )
        if result["missing"]:
            text += f" {result['missing']} images of the annotations are not in the folder."
        outputs.md(text, name="summary")


def _check_both(images_dir: str | None, annotations: str | None) -> None:
    """Raises PromergeError where only one of the two paths is given."""
    if (images_dir is None) != (annotations is None):
        raise PromergeError("name the folder of the images and the annotations, or neither")


def _check_new(dataset: str) -> None:
    """Raises PromergeError where there is a dataset of that name."""
    if has_dataset(dataset):
        raise PromergeError(f"a dataset {dataset!r} exists already; choose another name")
