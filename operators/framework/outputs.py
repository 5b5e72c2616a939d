"""Parts of the outputs that operators show."""

from __future__ import annotations

import base64
import io

import numpy as np
from fiftyone.operators import types
from PIL import Image

from fiftyone_promerge import plugin

_STOP = f"{plugin.NAME}/stop_run"


def progress_output(name: str, label: str) -> types.Property:
    """What is shown of a run that is under way, and a button that stops it.

    Args:
        name: of the run, see `running.RUNS`.
        label: what is being done.

    Returns:
        the output; its result has the fraction done under `progress`, None where nobody knows it.
    """
    outputs = types.Object()
    outputs.float("progress", view=types.ProgressView(label=label))
    outputs.btn("stop", "Stop", icon="stop", on_click=_STOP, params={"name": name})
    outputs.md(
        "*Stop* ends the run after the images at hand, and so does closing or reloading this "
        "page. What is done is kept; the same form continues from there.",
        name="owner",
    )
    return types.Property(outputs, view=types.View(label=name))


def table(
    outputs: types.Object, name: str, columns: dict[str, str], label: str | None = None
) -> None:
    """Shows a list of dicts as a table.

    Args:
        outputs: where to show it.
        name: the result's key that holds the list.
        columns: key of each column -> what stands above it.
        label: what stands above the table.
    """
    view = types.TableView()
    for key, heading in columns.items():
        view.add_column(key, label=heading)
    row = types.Object()
    for key in columns:
        row.str(key)
    outputs.list(name, row, view=view, label=label)


def data_uri(pixels: np.ndarray) -> str:
    """A picture as the App shows it where no file has it.

    Args:
        pixels: uint8 [height, width, 3].

    Returns:
        the URI of a JPEG.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
