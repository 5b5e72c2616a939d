"""Pictures of validation images during training: labels and predictions side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch.utils.tensorboard import SummaryWriter

from fiftyone_promerge.training.data.records import RecordFile
from fiftyone_promerge.training.data.samples import open_record
from promerge_core import Mask
from promerge_core.masks.painting import paint

from .base import PICTURES, Job

IMAGES = 4
"""Validation images in a picture."""

SHOWN_SCORE = 0.5
"""Predictions are drawn from this score on."""

_TILE = 480  # pixels: longest side of one image in the picture
_GAP = 12  # pixels
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_TITLE, _CAPTION = 24, 17  # pixels


def show_validation(
    job: Job,
    parts: Iterable[Mapping[int, Sequence[Mask]]],
    done: int,
    metrics: Mapping[str, float],
) -> None:
    """Keeps a picture of a validation: a PNG in the job's folder, and an image in TensorBoard.

    It shows the same images in each validation of a round: they are spread over those that were
    looked at, from many labels to few. The process of rank 0 calls it.

    Args:
        job: the round; the files are `validation/000500.png` and in `tensorboard/validation`.
        parts: what each process found, by the image's position in the job's records.
        done: iterations done in this round.
        metrics: what was measured, for the title: `AP` and `AP50`, in [0, 1].
    """
    found = {position: masks for part in parts for position, masks in part.items()}
    if not found:  # not one validation image can be read any more
        return
    measured = ", ".join(f"{name} {metrics[name]:.3f}" for name in ("AP", "AP50"))
    title = f"Round {job.round}, {done} iterations: {measured} against the labels"
    picture = draw_validation(job.records, found, title)
    path = job.folder / PICTURES / f"{done:06d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")  # a reader never sees half of it
    picture.save(partial, "PNG")
    partial.replace(path)
    with SummaryWriter(str(job.folder / "tensorboard" / "validation")) as writer:
        writer.add_image("validation", np.asarray(picture), done, dataformats="HWC")


def draw_validation(
    records: RecordFile, found: Mapping[int, Sequence[Mask]], title: str
) -> Image.Image:
    """Draws labels and predictions of a few images side by side.

    Args:
        records: the labels.
        found: predictions by the image's position in `records`; images that can be read.
        title: stands above all.

    Returns:
        an RGB image, two pairs to a row.
    """
    pairs = [_pair(records, position, found[position]) for position in _chosen(records, found)]
    rows = [_beside(pairs[first : first + 2]) for first in range(0, len(pairs), 2)]
    width = max(row.width for row in rows)
    return _below([_text(title, width, _TITLE), *rows])


def _chosen(records: RecordFile, positions: Iterable[int]) -> list[int]:
    """Images with many, some and few labels; which ones is decided by labels and names alone."""
    by_labels = sorted(positions, key=lambda position: (-len(records[position].masks), position))
    count = min(IMAGES, len(by_labels))
    return [by_labels[place * len(by_labels) // count] for place in range(count)]


def _pair(records: RecordFile, position: int, found: Sequence[Mask]) -> Image.Image:
    record = records[position]
    image = open_record(record)
    shown = [mask for mask in found if mask.score >= SHOWN_SCORE]
    best = max((mask.score for mask in found), default=0.0)
    predicted = f"predictions from score {SHOWN_SCORE} on: {len(shown)}; best score {best:.2f}"
    return _beside(
        [
            _tile(image, record.masks, f"labels: {len(record.masks)}"),
            _tile(image, shown, predicted),
        ]
    )


def _tile(image: Image.Image, masks: Sequence[Mask], caption: str) -> Image.Image:
    """An image of the tiles' size with its masks over it, below its caption."""
    scale = _TILE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    small = [np.asarray(Image.fromarray(mask.to_array()).resize(size)) for mask in masks]
    painted = paint(np.asarray(image.resize(size)), small)
    return _below([_text(caption, size[0], _CAPTION), Image.fromarray(painted)])


def _text(text: str, width: int, height: int) -> Image.Image:
    """A line of text, made smaller where it is wider than its place."""
    font = ImageFont.load_default(height)
    font = ImageFont.load_default(height * min(1.0, (width - 4) / max(font.getlength(text), 1)))
    line = Image.new("RGB", (width, height + 8), _PAPER)
    ImageDraw.Draw(line).text((2, 2), text, _INK, font)
    return line


def _beside(images: Sequence[Image.Image]) -> Image.Image:
    places = np.cumsum([0] + [image.width + _GAP for image in images])
    canvas = Image.new("RGB", (int(places[-1]), max(one.height for one in images)), _PAPER)
    for image, left in zip(images, places, strict=False):
        canvas.paste(image, (int(left), 0))
    return canvas


def _below(images: Sequence[Image.Image]) -> Image.Image:
    places = np.cumsum([0] + [image.height + _GAP // 2 for image in images])
    canvas = Image.new("RGB", (max(one.width for one in images), int(places[-1])), _PAPER)
    for image, top in zip(images, places, strict=False):
        canvas.paste(image, (0, int(top)))
    return canvas
