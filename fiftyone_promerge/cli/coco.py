"""The commands `export` and `import`: COCO json and shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click
from tqdm import tqdm

from promerge_core.runs.sources import is_url

from .datasets import old_or_new_dataset
from .report import console, print_summary


@click.command("export")
@click.argument("source", nargs=-1, required=True, metavar="(DATASET FIELD | SHARDS)")
@click.argument("path", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["dataset", "results"]),
    default="dataset",
    show_default=True,
    help="A whole COCO file, or results: a list for pycocotools.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace any file at PATH; without it only an earlier export of the same is replaced.",
)
def export_field(source: tuple[str, ...], path: Path, kind: Any, overwrite: bool) -> None:
    """Write FIELD of DATASET, or the folder or URL of SHARDS, as COCO json to PATH."""
    if len(source) > 2:
        raise click.UsageError("give a dataset and its field, or the folder of shards, and a path")
    if len(source) == 1:
        written = _export_shards(source[0], path, kind, overwrite)
    else:
        from fiftyone_promerge.coco.exporting import export_coco
        from fiftyone_promerge.fields import open_dataset

        written = export_coco(open_dataset(source[0]), source[1], path, kind, overwrite=overwrite)
    console.print(f"{written} annotations written to {path}")


def _export_shards(location: str, path: Path, kind: Any, overwrite: bool) -> int:
    from promerge_core.runs.coco_json import write_coco
    from promerge_core.runs.outputs import check_output
    from promerge_core.runs.shards import ShardFolder

    folder = ShardFolder(location)
    run = folder.read_run()["run"]
    check_output(path, overwrite, {"run": run})
    return write_coco(path, run, folder.rows, kind).masks


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
    from fiftyone_promerge.fields import open_dataset

    if images_dir is not None:
        raise click.UsageError("--images-dir is for shards; a COCO json finds images by their name")
    counts = import_coco(open_dataset(dataset), field, path)
    console.print(
        f"{counts['labels']} labels read; {counts['unknown_images']} of images that are not here"
    )


def _import_shards(name: str, field: str, location: str, images_dir: Path | None) -> None:
    from fiftyone_promerge.generation.shards import import_shards
    from promerge_core.runs.shards import ShardFolder

    folder = ShardFolder(location)
    images = folder.read_run()["images"]
    # FiftyOne forgets a dataset that is not persistent: no half of an import stays.
    with old_or_new_dataset(name, persistent=False) as dataset:
        with tqdm(total=images, unit="image") as bar:
            summary, unknown = import_shards(dataset, field, folder, images_dir, bar.update)
        dataset.persistent = True
    print_summary(summary, console)
    console.print(f"{unknown} images of the shards are not in the dataset {name}")
