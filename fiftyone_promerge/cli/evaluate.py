"""The commands `evaluate`, `benchmark-data`, `export` and `import`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from promerge_core.runs.sources import is_url

if TYPE_CHECKING:
    import fiftyone as fo

console = Console()
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
def evaluate(
    dataset: str,
    fields: tuple[str, ...],
    more_fields: tuple[str, ...],
    gt_field: str,
    iou_type: Any,
    json_path: Path | None,
    picture: Path | None,
) -> None:
    """COCO AP and AR of fields of DATASET, kept as runs `eval_FIELD_segm` or `eval_FIELD_bbox`.

    Example: promerge evaluate my-dataset --fields promerge maskcut
    """
    from fiftyone_promerge.benchmarks.registry import published_ap
    from fiftyone_promerge.evaluation.comparison import comparison, draw
    from fiftyone_promerge.evaluation.run import evaluate as evaluate_field

    samples = _load(dataset)
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


@click.command("benchmark-data")
@click.argument("name")
@click.option("--images-dir", type=click.Path(path_type=Path), help="Folder of the images.")
@click.option("--annotations", type=click.Path(path_type=Path), help="COCO annotation file.")
@click.option("--dataset-name", help="Name of the dataset.  [default: NAME]")
def benchmark_data(
    name: str, images_dir: Path | None, annotations: Path | None, dataset_name: str | None
) -> None:
    """Load benchmark NAME as a dataset: coco2017, coco20k, lvis, kitti, objects365 or sa1b.

    Without files it says where to get them; coco2017 is downloaded.
    """
    from fiftyone_promerge.benchmarks.load import GT_FIELD, load_benchmark

    dataset = load_benchmark(name, images_dir, annotations, dataset_name)
    dataset.persistent = True
    objects = dataset.count(f"{GT_FIELD}.detections")
    console.print(f"Dataset '{dataset.name}': {len(dataset)} images, {objects} objects")
    missing = dataset.info["missing_images"]
    if missing:
        console.print(f"{len(missing)} images are missing: {', '.join(missing[:5])} ...")


@click.command("export")
@click.argument("source", nargs=-1, required=True, metavar="DATASET FIELD|SHARDS")
@click.argument("path", type=_OUTPUT)
@click.option(
    "--kind",
    type=click.Choice(["dataset", "results"]),
    default="dataset",
    show_default=True,
    help="A whole COCO file, or the list of results that loadRes reads.",
)
def export_field(source: tuple[str, ...], path: Path, kind: Any) -> None:
    """Write FIELD of DATASET, or the folder or URL of SHARDS, as COCO json to PATH."""
    if len(source) > 2:
        raise click.UsageError("give a dataset and its field, or the folder of shards, and a path")
    if len(source) == 1:
        written = _export_shards(source[0], path, kind)
    else:
        from fiftyone_promerge.coco.exporting import export_coco

        written = export_coco(_load(source[0]), source[1], path, kind)
    console.print(f"{written} annotations written to {path}", highlight=False)


def _export_shards(location: str, path: Path, kind: Any) -> int:
    from promerge_core.runs.coco_json import write_coco
    from promerge_core.runs.shards import ShardFolder

    folder = ShardFolder(location)
    return write_coco(path, folder.read_run()["run"], folder.rows, kind).masks


@click.command("import")
@click.argument("dataset")
@click.argument("field")
@click.argument("path")
@click.option(
    "--images-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the images of shards lie here, if not where the run found them.",
)
def import_field(dataset: str, field: str, path: str, images_dir: Path | None) -> None:
    """Read a COCO json, or a folder or URL of shards, at PATH into FIELD of DATASET.

    A COCO json needs the dataset and makes the field. Shards make the dataset too, with a sample
    for each image.
    """
    if is_url(path) or Path(path).is_dir():
        _import_shards(dataset, field, path, images_dir)
        return
    from fiftyone_promerge.coco.importing import import_coco

    if images_dir is not None:
        raise click.UsageError("--images-dir is for shards; a COCO json finds images by their name")
    counts = import_coco(_load(dataset), field, path)
    console.print(
        f"{counts['labels']} labels read; {counts['unknown_images']} of images that are not here"
    )


def _import_shards(name: str, field: str, location: str, images_dir: Path | None) -> None:
    import fiftyone as fo

    from fiftyone_promerge.generation.shards import import_shards
    from promerge_core.runs.shards import ShardFolder

    from .report import print_summary

    folder = ShardFolder(location)
    images = folder.read_run()["images"]
    # FiftyOne forgets a dataset that is not persistent: no half of an import stays.
    dataset = fo.load_dataset(name) if fo.dataset_exists(name) else fo.Dataset(name)
    with tqdm(total=images, unit="image") as bar:
        summary, unknown = import_shards(dataset, field, folder, images_dir, bar.update)
    dataset.persistent = True
    print_summary(summary, console)
    console.print(f"{unknown} images of the shards are not in the dataset {name}")


def _load(name: str) -> fo.Dataset:
    import fiftyone as fo

    if not fo.dataset_exists(name):
        known = ", ".join(fo.list_datasets()) or "none"
        raise click.ClickException(f"There is no dataset '{name}'; there are: {known}")
    return fo.load_dataset(name)
