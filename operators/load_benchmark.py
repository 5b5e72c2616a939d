"""The operator `load_benchmark`: one of the paper's six benchmarks as a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.benchmarks.load import GT_FIELD, load_benchmark
from fiftyone_promerge.benchmarks.registry import BENCHMARKS, where_to_get
from fiftyone_promerge.operators.framework.forms import Form
from fiftyone_promerge.operators.framework.run_operator import RunOperator
from fiftyone_promerge.operators.framework.running import Report


class LoadBenchmark(RunOperator):
    """Loads the images and annotations of a benchmark."""

    name = "load_benchmark"
    label = "Load a benchmark (ProMerge)"
    description = "The images and ground truth of a benchmark, such as COCO, as a dataset"
    icon = "library_add"
    for_samples = False

    def form(self, ctx: foo.ExecutionContext) -> Form:
        """See `RunOperator`."""
        form = Form(ctx)
        names = {name: name for name in BENCHMARKS}
        name = form.choice("name", names, "coco2017", label="Benchmark")
        form.inputs.md(where_to_get(name), name="where_to_get")
        where = "On the machine that runs FiftyOne"
        form.text("images_dir", label="Folder of the images", description=where, is_path=True)
        form.text("annotations", label="Annotations", description=where, is_path=True)
        form.text("dataset_name", label="Name of the dataset", description=f"By default: {name}")
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

    def describe(self, outputs: types.Object, result: dict[str, Any]) -> None:
        """See `RunOperator`."""
        text = (
            f"The dataset `{result['dataset']}` has **{result['images']} images** with "
            f"{result['objects']} objects."
        )
        if result["missing"]:
            text += f" {result['missing']} images of the annotations are not in the folder."
        outputs.md(text, name="summary")
