"""The commands `group`, `name` and `spread`."""

from __future__ import annotations

from typing import Any

import rich_click as click

from promerge_core.options import BackboneOptions

from .options import declared_options
from .report import console


@click.command()
@click.argument("dataset")
@click.argument("field")
@click.option(
    "--method",
    type=click.Choice(["hdbscan", "kmeans"]),
    default="hdbscan",
    show_default=True,
    help="hdbscan finds the number of groups; kmeans makes --groups.",
)
@click.option("--groups", type=click.IntRange(1), help="Number of groups, for kmeans.")
@declared_options(BackboneOptions)
def group(dataset: str, field: str, method: str, groups: int | None, **flags: Any) -> None:
    """Group the masks in FIELD of DATASET by what they look like.

    Masks that have no vector yet get one first.
    """
    from fiftyone_promerge.fields import open_dataset
    from fiftyone_promerge.grouping.embedding import embed_masks
    from fiftyone_promerge.grouping.groups import group_masks

    samples = open_dataset(dataset)
    summary = embed_masks(samples, field, announce=console.print, **flags)
    for image in summary.skipped:
        console.print(f"skipped: {image.why}")
    counts = group_masks(samples, field, method=method, groups=groups, announce=console.print)
    for number, masks in counts.items():
        console.print(f"group {number}: {masks} masks")


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
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.5, show_default=True)
@click.option("--from-names", is_flag=True, help="Learn from what promerge name labelled as well.")
def spread(dataset: str, field: str, threshold: float, from_names: bool) -> None:
    """Spread the labels that a person set in FIELD of DATASET to the masks that have none.

    Labels that a person set or that promerge name gave stay; earlier ones of this command do not.
    """
    from fiftyone_promerge.fields import open_dataset
    from fiftyone_promerge.grouping.spreading import spread_labels

    done = spread_labels(open_dataset(dataset), field, threshold=threshold, from_names=from_names)
    for method, score in done.scores.items():
        console.print(f"{method}: balanced accuracy {score:.3f} in cross-validation")
    console.print(
        f"{done.method}: from {done.labelled} labels, {done.spread} masks got one, "
        f"{done.doubtful} are too doubtful"
    )
