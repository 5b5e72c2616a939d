"""The commands `evaluate` and `benchmark-data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rich_click as click
from rich.table import Table

from fiftyone_promerge.benchmarks.registry import BENCHMARKS

from .options import check_output_file, overwrite_option
from .report import console

_OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.argument("dataset")
@click.option("--fields", multiple=True, required=True, help="Prediction fields, one or several.")
@click.argument("more_fields", nargs=-1, metavar="[FIELDS]...")
@click.option("--gt-field", default="ground_truth", show_default=True, help="Ground truth field.")
@click.option(
    "--iou-type",
    type=click.Choice(["segm", "bbox"]),
    default="segm",
    show_default=True,
    help="Compare masks or boxes.",
)
@click.option("--json", "json_path", type=_OUTPUT, help="Write the table as JSON.")
@click.option("--picture", type=_OUTPUT, help="Draw AP and AR beside the published numbers.")
@overwrite_option
def evaluate(
    dataset: str,
    fields: tuple[str, ...],
    more_fields: tuple[str, ...],
    gt_field: str,
    iou_type: Any,
    json_path: Path | None,
    picture: Path | None,
    overwrite: bool,
) -> None:
    """COCO AP and AR of fields of DATASET, kept as runs `eval_FIELD_segm` or `eval_FIELD_bbox`.

    Example: promerge evaluate my-dataset --fields promerge maskcut
    """
    from fiftyone_promerge.benchmarks.registry import published_ap
    from fiftyone_promerge.evaluation.comparison import comparison, draw
    from fiftyone_promerge.evaluation.run import evaluate as evaluate_field
    from fiftyone_promerge.fields import open_dataset

    check_output_file(json_path, overwrite)
    check_output_file(picture, overwrite)
    samples = open_dataset(dataset)
    benchmark = samples.info.get("benchmark")
    metrics = {
        field: evaluate_field(
            samples, field, gt_field, eval_key=f"eval_{field}_{iou_type}", iou_type=iou_type
        ).metrics()
        for field in (*fields, *more_fields)
    }
    rows = comparison(metrics, published_ap(benchmark, [iou_type]))
    console.print(_table(rows, f"{dataset}, {iou_type}, percent"))
    if json_path:
        content = {
            "dataset": dataset,
            "benchmark": benchmark,
            "iou_type": iou_type,
            "images": len(samples),
            "rows": rows,
        }
        json_path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if picture:
        draw(rows, f"{dataset} ({iou_type}, {len(samples)} images)", picture)


def _table(rows: list[dict[str, Any]], title: str) -> Table:
    from fiftyone_promerge.evaluation.run import METRICS

    table = Table(title=title)
    table.add_column("")
    for row in rows:
        published = "\n(published)" if row["published"] else ""
        table.add_column(row["name"] + published, justify="right")
    for metric in METRICS:
        table.add_row(metric, *(f"{row[metric]:.1f}" if metric in row else "" for row in rows))
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
