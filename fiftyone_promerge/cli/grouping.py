"""The commands `group`, `name` and `spread`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from promerge_core.options import BackboneOptions, GroupOptions, SpreadOptions

from .options import check_output_file, declared_options, overwrite_option
from .report import console


@click.command()
@click.argument("dataset")
@click.argument("field")
@declared_options(GroupOptions)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw typical and doubtful masks of each group, a row for each.",
)
@overwrite_option
@click.option("--index", is_flag=True, help="Show the masks in FiftyOne's embeddings panel too.")
@declared_options(BackboneOptions)
def group(
    dataset: str, field: str, picture: Path | None, overwrite: bool, index: bool, **flags: Any
) -> None:
    """Group the masks in FIELD of DATASET by what they look like.

    Masks that have no vector yet get one first. The panel *Name groups* of the App shows the
    groups.
    """
    check_output_file(picture, overwrite, makes_folder=True)
    from fiftyone_promerge.fields import open_dataset
    from fiftyone_promerge.grouping.brain import index_masks
    from fiftyone_promerge.grouping.embedding import embed_masks
    from fiftyone_promerge.grouping.groups import group_masks
    from fiftyone_promerge.grouping.sheet import check_sheet, draw_groups

    if picture:
        check_sheet(picture)
    samples = open_dataset(dataset)
    chosen = BackboneOptions.pick(flags).to_dict()
    summary = embed_masks(samples, field, announce=console.print, **chosen)
    for image in summary.skipped:
        console.print(f"skipped: {image.why}")
    options = GroupOptions.pick(flags).to_dict()
    counts = group_masks(samples, field, announce=console.print, **options)
    for number, masks in counts.items():
        console.print(f"group {number}: {masks} masks")
    if picture:
        draw_groups(samples, field, picture)
        console.print(f"The groups are drawn in {picture}")
    if index:
        keys = index_masks(samples, field)
        console.print(f"brain keys for the App: {keys.map}, {keys.similarity}")


@click.command()
@click.argument("dataset")
@click.argument("field")
@click.argument("names", nargs=-1, required=True, metavar="GROUP=NAME...")
def name(dataset: str, field: str, names: tuple[str, ...]) -> None:
    """Name groups of masks in FIELD of DATASET; GROUP=- says that its masks are no objects.

    Labels that a person set stay. Example: promerge name photos promerge 3=car 5=car 7=-
    """
    pairs = {}
    for one in names:
        number, equals, text = one.partition("=")
        if not equals or not number.isdecimal() or int(number) in pairs:
            raise click.UsageError(f"{one!r} is not GROUP=NAME, or names a group again")
        pairs[int(number)] = text
    from fiftyone_promerge.fields import open_dataset
    from fiftyone_promerge.grouping.names import name_groups

    for text, masks in name_groups(open_dataset(dataset), field, pairs).items():
        console.print(f"{text}: {masks} masks")


@click.command()
@click.argument("dataset")
@click.argument("field")
@declared_options(SpreadOptions)
def spread(dataset: str, field: str, **flags: Any) -> None:
    """Spread the labels that a person set in FIELD of DATASET to the masks that have none.

    Labels that a person set or that promerge name gave stay; earlier ones of this command do not.
    """
    from fiftyone_promerge.fields import open_dataset
    from fiftyone_promerge.grouping.spreading import spread_labels

    done = spread_labels(open_dataset(dataset), field, **flags)
    for method, score in done.scores.items():
        console.print(f"{method}: balanced accuracy {score:.3f} in cross-validation")
    console.print(
        f"{done.method}: from {done.labelled} labels, {done.spread} masks got one, "
        f"{done.doubtful} are too doubtful"
    )
