"""The commands `evaluate` and `benchmark-data`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.table import Table

from fiftyone_promerge.benchmarks.registry import BENCHMARKS
from promerge_core import PromergeError

from .options import check_output_file, overwrite_option
from .report import console

if TYPE_CHECKING:
    import fiftyone as fo
    import fiftyone.core.collections as foc

_OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)

_SHAPES = {"segm": "masks", "bbox": "boxes"}


@click.command()
@click.argument("dataset")
@click.argument("more_fields", nargs=-1, metavar="FIELD...")
@click.option("--fields", multiple=True, help="The first FIELD may stand behind this flag.")
@click.option(
    "--gt-field",
    help="Ground truth field; by default ground_truth, else the only field that was not made here.",
)
@click.option(
    "--labelled-only",
    is_flag=True,
    help="Judge a field only on the images that it has labels of; the objects of the others count "
    "as missed otherwise.",
)
@click.option(
    "--iou-type",
    type=click.Choice(["segm", "bbox"]),
    default="segm",
    show_default=True,
    help="Compare masks or boxes.",
)
@click.option(
    "--classes",
    metavar="ATTRIBUTE",
    help="Class by class: the ground truth's attribute with a label's class, such as label or "
    "category; of FIELD it is label.  [default: all labels count as one class]",
)
@click.option("--json", "json_path", type=_OUTPUT, help="Write the table as JSON.")
@click.option("--picture", type=_OUTPUT, help="Draw AP and AR beside the published numbers.")
@overwrite_option
def evaluate(
    dataset: str,
    fields: tuple[str, ...],
    more_fields: tuple[str, ...],
    gt_field: str | None,
    labelled_only: bool,
    iou_type: Any,
    classes: str | None,
    json_path: Path | None,
    picture: Path | None,
    overwrite: bool,
) -> None:
    """COCO AP and AR of each FIELD of DATASET, kept as runs `eval_FIELD_segm` or `eval_FIELD_bbox`.

    With --classes the runs are `eval_FIELD_segm_classes` and the like.

    Example: promerge evaluate my-dataset promerge maskcut
    """
    from fiftyone_promerge.benchmarks.registry import published_ap
    from fiftyone_promerge.evaluation.comparison import class_metrics, comparison, draw
    from fiftyone_promerge.evaluation.run import evaluate as evaluate_field
    from fiftyone_promerge.evaluation.words import SIZES
    from fiftyone_promerge.fields import open_dataset

    fields = (*fields, *more_fields)
    if not fields:
        raise click.UsageError("name a field to judge: promerge evaluate DATASET FIELD")
    check_output_file(json_path, overwrite)
    check_output_file(picture, overwrite)
    samples = open_dataset(dataset)
    benchmark = samples.info.get("benchmark")
    gt_field = gt_field or _ground_truth(samples, fields)
    results = {
        field: evaluate_field(
            _judged(samples, field, labelled_only),
            field,
            gt_field,
            eval_key=f"eval_{field}_{iou_type}" + ("_classes" if classes else ""),
            iou_type=iou_type,
            classes=classes,
        )
        for field in fields
    }
    published = {} if classes else published_ap(benchmark, [iou_type])
    rows = comparison({field: one.metrics() for field, one in results.items()}, published)
    console.print(_table(rows, f"{dataset}, {_SHAPES[iou_type]}, percent"))
    console.print(SIZES)
    if classes:
        rows = [row | {"classes": class_metrics(results[row["name"]])} for row in rows]
        console.print(_class_table(rows))
    if json_path:
        content = {"dataset": dataset, "benchmark": benchmark, "iou_type": iou_type}
        content |= {"classes": classes, "images": len(samples), "rows": rows}
        json_path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if picture:
        draw(rows, f"{dataset} ({iou_type}, {len(samples)} images)", picture)


def _ground_truth(samples: fo.Dataset, fields: Sequence[str]) -> str:
    """The ground truth where nobody named it; says which field that is."""
    from fiftyone_promerge.evaluation.choice import ground_truth_field
    from fiftyone_promerge.fields import check_detections_field, detections_fields

    for field in fields:
        check_detections_field(samples, field)
    found = ground_truth_field(samples, fields)
    if found is None:
        others = [field for field in detections_fields(samples) if field not in fields]
        raise PromergeError(
            f"which field is the ground truth? Name it with --gt-field; there are: "
            f"{', '.join(others) or 'no other fields of detections'}"
        )
    console.print(f"Ground truth: the field {found}")
    return found


def _judged(samples: fo.Dataset, field: str, labelled_only: bool) -> foc.SampleCollection:
    """What a field is judged on; says so where that is not all images, or where it misses some."""
    from fiftyone_promerge.evaluation.choice import missed_warning

    warning = missed_warning(samples, field) if samples.has_field(field) else None
    if warning is None:
        return samples
    if labelled_only:
        console.print(f"{field} is judged on the images that it has labels of")
        return samples.exists(field)
    console.print(f"{warning}; --labelled-only leaves them out")
    return samples


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    from fiftyone_promerge.evaluation.words import METRICS, percent

    table = Table(title=title)
    table.add_column("")
    for row in rows:
        published = "\n(published)" if row["published"] else ""
        table.add_column(row["name"] + published, justify="right")
    for metric in METRICS:
        table.add_row(metric, *(percent(row.get(metric)) for row in rows))
    return table


def _class_table(rows: list[dict[str, Any]]) -> Table:
    """AP and AR100 of each class and field."""
    from fiftyone_promerge.evaluation.words import percent

    table = Table(title="Class by class")
    table.add_column("")
    for row in rows:
        for metric in ("AP", "AR100"):
            table.add_column(f"{row['name']}\n{metric}", justify="right")
    for name in sorted(set().union(*(row["classes"] for row in rows))):
        found = [row["classes"].get(name, {"AP": -1, "AR100": -1}) for row in rows]
        cells = [one[metric] for one in found for metric in ("AP", "AR100")]
        table.add_row(name, *map(percent, cells))
    return table


@click.command(
    "benchmark-data",
    help=f"""Load benchmark NAME as a dataset: {", ".join(BENCHMARKS)}.

    Without files it says where to get them; coco2017 is downloaded.
    """,
)
@click.argument("name")
@click.option("--images-dir", type=click.Path(path_type=Path), help="Folder of the images.")
@click.option("--annotations", type=click.Path(path_type=Path), help="COCO annotation file.")
@click.option("--dataset-name", help="Name of the dataset.  [default: NAME]")
def benchmark_data(
    name: str, images_dir: Path | None, annotations: Path | None, dataset_name: str | None
) -> None:
    """Load a benchmark as a dataset."""
    from fiftyone_promerge.benchmarks.load import GT_FIELD, load_benchmark

    dataset = load_benchmark(name, images_dir, annotations, dataset_name)
    dataset.persistent = True
    objects = dataset.count(f"{GT_FIELD}.detections")
    console.print(f"Dataset '{dataset.name}': {len(dataset)} images, {objects} objects")
    missing = dataset.info["missing_images"]
    if missing:
        console.print(f"{len(missing)} images are missing: {', '.join(missing[:5])} ...")
