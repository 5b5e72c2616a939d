"""The operator `load_benchmark`: one of the paper's six benchmarks as a dataset."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.benchmarks import BENCHMARKS, GT_FIELD, load_benchmark, where_to_get

from .forms import Form, check_readable, output
from .running import Report, execute, result_of


class LoadBenchmark(foo.Operator):
    """Loads the images and annotations of a benchmark."""

    @property
    def config(self) -> foo.OperatorConfig:
        """See `fiftyone.operators.Operator`."""
        return foo.OperatorConfig(
            name="load_benchmark",
            label="Load a benchmark (ProMerge)",
            description="COCO2017, COCO-20K, LVIS, KITTI, Objects365 or SA-1B as a dataset",
            icon="library_add",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            view_target=False,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form."""
        return _form(ctx).property("Load a benchmark")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Loads it; see `running.execute`."""
        values = _form(ctx).values

        def work(report: Report) -> dict[str, Any]:
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

        def show(result: dict[str, Any]) -> Iterator[Any]:
            yield ctx.ops.open_dataset(result["dataset"])

        return execute(ctx, f"the benchmark {values['name']}", work, show)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What was loaded."""
        result = result_of(ctx)
        outputs = output(ctx, result, "Nothing was loaded")
        if "error" not in result:
            text = (
                f"The dataset `{result['dataset']}` has **{result['images']} images** with "
                f"{result['objects']} objects."
            )
            if result["missing"]:
                text += f" {result['missing']} images of the annotations are not in the folder."
            outputs.md(text, name="summary")
        return types.Property(outputs, view=types.View(label="Load a benchmark"))


def _form(ctx: foo.ExecutionContext) -> Form:
    form = Form(ctx)
    name = form.choice("name", BENCHMARKS, "coco2017", label="Benchmark")
    if name in BENCHMARKS:
        form.inputs.md(where_to_get(name), name="where_to_get")
    for key, label in (("images_dir", "Folder of the images"), ("annotations", "Annotations")):
        path = form.text(key, label=label, description="On the machine that runs FiftyOne")
        if path is not None:
            form.check(key, functools.partial(check_readable, path))
            form.values[key] = Path(path).expanduser()
    form.text("dataset_name", label="Name of the dataset", description=f"By default: {name}")
    return form
