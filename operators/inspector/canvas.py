"""The image that the inspector draws on, and the look of all its pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import cv2
import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex
from PIL import Image

from fiftyone_promerge.inspection.inspect_image import Inspection

Plot = dict[str, Any]
"""The `data`, `layout` and `config` of a `types.PlotlyView`."""

BACKGROUND = "#1f77b4"
PROPOSAL = "#ff6d04"
CHOSEN = "#ffe14d"
INSTANCES = [to_hex(colour) for colour in matplotlib.colormaps["tab10"].colors]  # type: ignore[attr-defined]
"""The colours of `promerge_core.masks.painting.paint`."""

_LONG_SIDE = 480
_HEIGHT = 260

CONFIG = {"displayModeBar": False, "scrollZoom": False, "responsive": True}
LAYOUT = {
    "height": _HEIGHT,
    "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
    "dragmode": False,
    "hovermode": "closest",
    "showlegend": False,
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}


class Canvas:
    """The image at the size it is shown, and what is drawn on it.

    Args:
        inspection: the image and its stages.

    Attributes:
        inspection: the one given.
        width: in pixels; what is drawn has these coordinates.
        height: in pixels.
        pixels: uint8 [height, width, 3].
    """

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        image = inspection.image
        scale = _LONG_SIDE / max(image.width, image.height)
        self.width = max(round(image.width * scale), 1)
        self.height = max(round(image.height * scale), 1)
        self.pixels = cv2.resize(
            image.pixels, (self.width, self.height), interpolation=cv2.INTER_AREA
        )
        self._grid = inspection.explanation.background_votes.shape

    def patch_centres(self, patches: torch.Tensor) -> tuple[list[float], list[float]]:
        """X and y of patches given by row and column, [N, 2]."""
        rows, columns = self._grid
        centres = (patches.cpu().double() + 0.5) * torch.tensor(
            [self.height / rows, self.width / columns]
        )
        return centres[:, 1].tolist(), centres[:, 0].tolist()

    def masks(self, masks: torch.Tensor) -> list[np.ndarray]:
        """Masks of any resolution, bool [M, h, w], at the canvas's size."""
        size = (self.width, self.height)
        return [
            cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST).astype(bool)
            for mask in masks.cpu().numpy().astype(np.uint8)
        ]

    def heatmap(self, values: torch.Tensor, **options: Any) -> Plot:
        """A trace of one value per patch.

        Args:
            values: tensor [h, w].
            options: what else Plotly's heatmap takes, such as `colorscale`.

        Returns:
            the trace, each patch where it is on the canvas.
        """
        rows, columns = self._grid
        dx, dy = self.width / columns, self.height / rows
        return {
            "type": "heatmap",
            "z": values.cpu().float().numpy().round(3).tolist(),
            **{"x0": dx / 2, "dx": dx, "y0": dy / 2, "dy": dy},
            "showscale": False,
            **options,
        }

    def outline(self, mask: torch.Tensor, colour: str) -> Plot:
        """A trace of the border of a mask.

        Args:
            mask: bool tensor [h, w], of any resolution.
            colour: of the line.

        Returns:
            the trace: one line, with gaps between the mask's borders.
        """
        found, _ = cv2.findContours(
            self.masks(mask[None])[0].astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
        )
        xs: list[float | None] = []
        ys: list[float | None] = []
        for contour in found:
            closed = np.concatenate([contour[:, 0], contour[:1, 0]]).tolist()
            xs += [x for x, _ in closed] + [None]
            ys += [y for _, y in closed] + [None]
        return {
            "type": "scatter",
            "mode": "lines",
            "x": xs,
            "y": ys,
            "line": {"color": colour, "width": 2},
            "hoverinfo": "skip",
        }

    def plot(self, traces: list[Plot], pixels: np.ndarray | None = None) -> Plot:
        """Traces over a picture.

        Args:
            traces: what to draw.
            pixels: uint8 array [height, width, 3] to draw it on; the image by default.

        Returns:
            the plot.
        """
        return pixels_plot(self.pixels if pixels is None else pixels, traces)


def pixels_plot(pixels: np.ndarray, traces: list[Plot]) -> Plot:
    """Traces over pixels.

    Args:
        pixels: uint8 array [height, width, 3]; traces have its coordinates.
        traces: what to draw.

    Returns:
        the plot.
    """
    height, width, _ = pixels.shape
    picture = {
        "source": _data_uri(pixels),
        **{"xref": "x", "yref": "y", "x": 0, "y": 0},
        **{"sizex": width, "sizey": height},
        "sizing": "stretch",
        "layer": "below",
    }
    axis = {"visible": False, "fixedrange": True, "constrain": "domain"}
    return {
        # Without a trace Plotly draws no axes, and so no picture.
        "data": traces or [{"type": "scatter", "x": [None], "y": [None]}],
        "layout": {
            "images": [picture],
            "xaxis": {**axis, "range": [0, width]},
            "yaxis": {**axis, "range": [height, 0], "scaleanchor": "x"},
            **LAYOUT,
        },
        "config": CONFIG,
    }


def _data_uri(pixels: np.ndarray) -> str:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
