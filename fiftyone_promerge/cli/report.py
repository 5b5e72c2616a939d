"""What a run did, as a table in the terminal and as one picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from promerge_core import Summary

_SHOWN_SKIPPED = 20


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Prints images, masks, why images have none, skipped images and seconds per stage."""
    from promerge_core import NoMasks

    console = console or Console()
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
        each = f"{seconds / max(summary.images, 1):.3f} s an image"
        table.add_row(stage, f"{seconds:.1f} s", each)
    console.print(table)
    for image in summary.skipped[:_SHOWN_SKIPPED]:
        console.print(f"skipped: {image.why}", style="yellow", highlight=False)
    if len(summary.skipped) > _SHOWN_SKIPPED:
        console.print(f"... and {len(summary.skipped) - _SHOWN_SKIPPED} more", style="yellow")


def draw_masks(
    images: Sequence[Image.Image], masks: Sequence[Sequence[np.ndarray]], path: Path
) -> None:
    """Draws photos with their masks over them into one picture.

    Args:
        images: RGB images of any sizes.
        masks: for each image its masks, bool arrays [height, width].
        path: where to write the picture (PNG or JPEG by its suffix).
    """
    from matplotlib.figure import Figure

    columns = min(4, len(images))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image, image_masks in zip(axes, images, masks, strict=False):
        axis.imshow(paint(np.asarray(image), image_masks))
        axis.set_title(f"{len(image_masks)} mask{'s' * (len(image_masks) != 1)}", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def paint(image: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    """A photo with its masks tinted, largest below, and outlined.

    Args:
        image: uint8 [height, width, 3].
        masks: bool arrays [height, width].

    Returns:
        uint8 [height, width, 3].
    """
    import matplotlib

    painted = image.astype(np.float32)
    colours = np.array(matplotlib.colormaps["tab10"].colors) * 255  # type: ignore[attr-defined]
    for index, mask in sorted(enumerate(masks), key=lambda item: -item[1].sum()):
        colour = colours[index % len(colours)]
        painted[mask] = 0.5 * painted[mask] + 0.5 * colour
        painted[_outline(mask, max(1, min(mask.shape) // 200))] = colour
    return painted.round().astype(np.uint8)


def _outline(mask: np.ndarray, width: int) -> np.ndarray:
    """The mask's pixels within `width` of its edge."""
    padded = np.pad(mask, width)
    inner = mask.copy()
    for shift in (-width, width):
        inner &= np.roll(padded, shift, 0)[width:-width, width:-width]
        inner &= np.roll(padded, shift, 1)[width:-width, width:-width]
    return mask & ~inner


def print_benchmark(figures: dict[str, Any], console: Console) -> None:
    """Prints the figures of `promerge benchmark`."""
    machine = ", ".join(f"{name} {value}" for name, value in figures["machine"].items())
    backbone = figures["backbone"]
    title = f"{backbone['name']} in {backbone['dtype']}, batches of {backbone['batch_size']}"
    table = Table(title=title, caption=machine)
    for heading in ("stage", "median s an image", "fastest"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in figures["rows"]:
        table.add_row(row["stage"], f"{row['median_s']:.4f}", f"{row['min_s']:.4f}")
    console.print(table)
    for line in _benchmark_lines(figures):
        console.print(line, highlight=False)


def _benchmark_lines(figures: dict[str, Any]) -> Iterator[str]:
    whole, fiftyone = figures["end_to_end"], figures["fiftyone"]
    yield (
        f"end to end: {whole['images_per_s']:.2f} images/s, {whole['to_backbone']:.2f} times the "
        f"backbone alone, masks of each image: {' '.join(map(str, whole['masks']))}"
    )
    yield (
        f"lower bound (the backbone's products at the rate of a large one): "
        f"{whole['floor_s']:.3f} s; that is {whole['share_of_floor']:.0%} of the time"
    )
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
