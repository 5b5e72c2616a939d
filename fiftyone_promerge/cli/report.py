"""What commands print, and how: what comes from outside stands there as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from promerge_core import Summary


class PlainConsole(Console):
    """Takes nothing in a text for markup or emoji: file names may look like `[/bold]` or `:a:`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """See `rich.console.Console.render_str`; every text is printed by way of it."""
        return super().render_str(printable(text), **options)


def printable(text: str) -> str:
    """A text that every terminal can print.

    Control characters and bytes that are not UTF-8, which file names may have, become escapes, as
    in Python's source; line breaks stay.
    """
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    # Python holds a byte that is no UTF-8 as a lone surrogate.
    return ascii(character)[1:-1]


console = PlainConsole()


def print_summary(summary: Summary, console: Console) -> None:
    """Prints images, masks, why images have none, skipped images by reason, seconds per stage.

    Args:
        summary: what a run did.
        console: where to print it.
    """
    from promerge_core import NoMasks

    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("images", str(summary.images))
    table.add_row("masks", str(summary.masks))
    table.add_row("images without masks", str(sum(summary.reasons.values())))
    for name, count in sorted(summary.reasons.items()):
        table.add_row(f"  {name}", str(count), NoMasks(name).explanation)
    table.add_row("skipped images", str(len(summary.skipped)))
    for stage, seconds in summary.seconds.items():
        each = f"{seconds / max(summary.images, 1):.3f} s per image"
        table.add_row(stage, f"{seconds:.1f} s", each)
    console.print(table)
    for kind in summary.skipped_kinds():
        number = len(kind.images)
        why = f"{number} images: {kind.reason}: {kind.names}" if number > 1 else kind.images[0].why
        console.print(Text(printable(f"skipped: {why}")), style="yellow", soft_wrap=True)


def print_profile(figures: dict[str, Any], console: Console) -> None:
    """Prints the figures of `promerge benchmark`.

    Args:
        figures: what `promerge_core.profile.run.run_profile` returns, and under `fiftyone` what
            `fiftyone_promerge.profile.measure_fiftyone` does.
        console: where to print them.
    """
    machine = ", ".join(f"{name} {value}" for name, value in figures["machine"].items())
    backbone = figures["backbone"]
    title = f"{backbone['name']} in {backbone['dtype']}, batches of {backbone['batch_size']}"
    table = Table(title=title, caption=machine)
    for heading in ("stage", "median s per image", "fastest"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in figures["rows"]:
        table.add_row(row["stage"], f"{row['median_s']:.4f}", f"{row['min_s']:.4f}")
    console.print(table)
    for line in _profile_lines(figures):
        console.print(line)


def _profile_lines(figures: dict[str, Any]) -> Iterator[str]:
    whole, fiftyone = figures["end_to_end"], figures["fiftyone"]
    yield (
        f"end to end: {whole['images_per_s']:.2f} images/s, {whole['to_backbone']:.2f} times the "
        f"backbone alone, masks of each image: {' '.join(map(str, whole['masks']))}"
    )
    floor = whole["floor"]
    yield (
        f"lower bound: the backbone's {floor['flop'] / 1e12:.2f} TFLOP at "
        f"{floor['flop_per_s'] / 1e12:.2f} TFLOP/s and {floor['exponentials'] / 1e9:.2f} G "
        f"exponentials at {floor['exponentials_per_s'] / 1e9:.2f} G/s, both measured, take "
        f"{whole['floor_s']:.3f} s, {whole['share_of_floor']:.0%} of the time"
    )
    if "busy" in figures:
        busy = figures["busy"]
        yield f"beside {busy['programs']} busy programs: {busy['slowdown']:.1f} times as long"
    for peer, ratio in figures["peers"].items():
        yield f"{peer}: {ratio:.1f} times as long as ours"
    yield (
        f"FiftyOne and its database, per image: {1000 * fiftyone['seconds']:.1f} ms "
        f"({fiftyone['images']} images of {fiftyone['masks_per_image']} masks); beside a device "
        f"that makes {fiftyone['device_images_per_s']} images/s they take "
        f"{fiftyone['device_share']:.0%} more time"
    )
    yield f"peak memory: {figures['peak_rss_mib']} MiB"
    if "peak_gpu_mib" in figures:
        yield f"peak GPU memory: {figures['peak_gpu_mib']} MiB"
