"""The groups of masks as one picture, a row for each."""

from __future__ import annotations

from pathlib import Path

import fiftyone.core.collections as foc
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from promerge_core import PromergeError

from .examples import cut_out, group_rows

_EXAMPLES = 6
_SIDE, _GAP, _TEXT, _HEAD = 96, 6, 150, 30
_BETWEEN = 3 * _GAP
_SUFFIXES = (".jpg", ".jpeg", ".png")


def check_sheet(path: Path) -> None:
    """Makes sure that a picture can be called that.

    Raises:
        PromergeError: the name does not end in .jpg, .jpeg or .png.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise PromergeError(f"{path.name} must end in {', '.join(_SUFFIXES)}")


def draw_groups(samples: foc.SampleCollection, label_field: str, path: str | Path) -> None:
    """Draws a row for each group: its number of masks, typical masks, doubtful masks.

    Args:
        samples: a dataset or view after `group_masks`.
        label_field: the field of the masks.
        path: the JPEG or PNG to write, by its suffix; its folder is made.

    Raises:
        PromergeError: no mask has a group, or the suffix is another one.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> from fiftyone_promerge.demo import demo_dataset
        >>> photos = demo_dataset().limit(2)
        >>> model = fop.load_model("embedded", image_size=240)
        >>> done = fop.generate_masks(photos, model, label_field="promerge", embeddings=True)
        >>> done = fop.group_masks(photos, "promerge", method="kmeans", groups=2)
        >>> fop.draw_groups(photos, "promerge", "groups.jpg")
    """
    target = Path(path)
    check_sheet(target)
    rows = group_rows(samples, label_field, _EXAMPLES)
    ids = [one for row in rows for one in (*row.typical, *row.doubtful)]
    pictures = cut_out(samples, label_field, ids, _SIDE)
    step = _SIDE + _GAP
    doubtful = _TEXT + _EXAMPLES * step + _BETWEEN
    sheet = Image.new("RGB", (doubtful + _EXAMPLES * step, _HEAD + len(rows) * step), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    draw.text((_TEXT, _GAP), "most typical", "black", font)
    draw.text((doubtful, _GAP), "most doubtful", "black", font)
    for number, row in enumerate(rows):
        top = _HEAD + number * step
        name = "" if row.name is None else f"{row.name[:18]}\n"
        draw.text((_GAP, top + _GAP), f"{name}group {row.group}\n{row.masks} masks", "black", font)
        for left, part in ((_TEXT, row.typical), (doubtful, row.doubtful)):
            for place, (_, mask_id) in enumerate(part):
                grey = np.full((_SIDE, _SIDE, 3), 200, np.uint8)
                picture = Image.fromarray(pictures.get(mask_id, grey))
                sheet.paste(picture, (left + place * step, top))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target, quality=90)
