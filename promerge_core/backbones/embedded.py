"""The embedded backbone: hand-made patch descriptors that need no weights.

It knows nothing of objects. Patches of 8 x 8 pixels are described by their colour and texture.
Neighbours that look alike are joined into regions, as Ward's clustering does, with the contrast
along their common border counting most. Regions tied to the image's borders become background, by
the boundary connectivity of Zhu et al. (Saliency Optimization from Robust Background Detection,
CVPR 2014). What is left is joined further, the more readily the more it stands out from the
background. Each patch then gets the direction of its region, so that ProMerge's prompts find the
regions. That finds a flower against dark leaves; it does not find a person in a crowd.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from promerge_core.colour import rgb_to_lab
from promerge_core.machine.processors import each_image

from .base import Backbone
from .region_background import split_background
from .regions import STEP, TINY, RegionGraph, agglomerate, patch_graph

# Numbers in this module that name no source were tuned on photos of COCO.
_PATCH = 8
_REGIONS = 40


class EmbeddedBackbone(Backbone):
    """Regions of like colour and texture as patch features.

    For demos, tests and air-gapped trials, and no substitute for a trained network. It needs no
    weights, is deterministic, and the result for an image does not depend on its batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = "embedded"
        self.patch_size = _PATCH
        self.dim = _REGIONS

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See `Backbone.forward`.

        Raises:
            ValueError: the images' sides are not multiples of the patch size.
        """
        if images.shape[2] % _PATCH or images.shape[3] % _PATCH:
            raise ValueError(
                f"image sides must be multiples of the patch size {_PATCH}; "
                f"got {tuple(images.shape[2:])}"
            )
        if images.device.type == "cpu":
            return torch.cat(each_image(self._describe, images.split(1)))
        return self._describe(images)

    def _describe(self, images: torch.Tensor) -> torch.Tensor:
        descriptors = describe_patches((images.float() * self._std + self._mean).clamp(0, 1))
        batch, _, height, width = descriptors.shape
        regions = min(_REGIONS, height * width)
        graph = agglomerate(patch_graph(descriptors), _region_cost, regions, torch.inf)
        graph = split_background(graph, batch, height, width)
        graph = agglomerate(graph, _instance_cost, 1, _INSTANCE_LIMIT)
        codes = region_codes(graph, batch)
        return codes[graph.label].view(batch, height, width, _REGIONS).permute(0, 3, 1, 2)


def describe_patches(rgb: torch.Tensor) -> torch.Tensor:
    """Colour and texture of each patch.

    Args:
        rgb: float32 tensor [B, 3, S, S] in [0, 1].

    Returns:
        float32 tensor [B, 7, S/8, S/8]: mean CIE L, a and b in units of 100, a and b 1.5 times;
        and a tenth of the logarithm of the gradient's strength in four directions, smoothed over
        3 x 3 patches.
    """
    lab = rgb_to_lab(rgb)
    colour = F.avg_pool2d(lab, _PATCH)
    colour = torch.cat([colour[:, :1], 1.5 * colour[:, 1:]], dim=1)
    lightness = F.pad(lab[:, :1], (0, 1, 0, 1), mode="replicate")
    right = lightness[..., :-1, 1:] - lightness[..., :-1, :-1]
    down = lightness[..., 1:, :-1] - lightness[..., :-1, :-1]
    diagonals = ((right + down) / 2**0.5, (right - down) / 2**0.5)
    energy = F.avg_pool2d(torch.cat([right, down, *diagonals], dim=1).abs(), _PATCH)
    energy = F.avg_pool2d(F.pad(energy, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.cat([colour, 0.1 * (energy + 0.01).log()], dim=1)


def _region_cost(graph: RegionGraph) -> torch.Tensor:
    """Distance, growing with the regions' size, so that small leftovers are joined first."""
    return graph.distances() * graph.sizes() ** 0.7


# Two parts of one instance differ by less than this part of what sets them off the background.
_INSTANCE_LIMIT = 0.25


def _instance_cost(graph: RegionGraph) -> torch.Tensor:
    """Distance relative to what sets the regions off the background; infinite for background.

    A region that touches one other only lies inside it, as coffee in a cup, and joins it for free.
    """
    contrast = graph.contrast.float() * STEP / graph.area
    contrast = torch.minimum(contrast[graph.tail], contrast[graph.head]).clamp(min=TINY)
    patches = len(graph.label) / (1 + graph.image[-1])
    cost = graph.distances() / contrast.square() * (graph.sizes() / patches) ** 0.3
    neighbours = torch.bincount(torch.cat([graph.tail, graph.head]), minlength=len(graph.area))
    cost = cost.masked_fill((neighbours[graph.tail] == 1) | (neighbours[graph.head] == 1), 0)
    excluded = graph.background[graph.tail] | graph.background[graph.head]
    return cost.masked_fill(excluded, torch.inf)


def region_codes(graph: RegionGraph, batch: int) -> torch.Tensor:
    """One direction per region, tilted away from the background by the region's contrast.

    Directions of an image are orthogonal before the tilt, and the tilt is small enough to leave
    two regions below ProMerge's affinity threshold.

    Args:
        graph: R regions, at most 40 per image.
        batch: number of images B.

    Returns:
        float32 tensor [R, 40].
    """
    index = torch.arange(len(graph.area), device=graph.area.device)
    first = torch.searchsorted(graph.image, torch.arange(batch, device=index.device))
    codes = F.one_hot(index - first[graph.image], _REGIONS).float()
    background = codes[graph.background][graph.image]
    contrast = graph.contrast.float() * STEP / graph.area
    tilt = (0.4 * contrast / (contrast + 0.3)).masked_fill(graph.background, 0)
    return codes - tilt[:, None] * background


def load_embedded(*_: object) -> EmbeddedBackbone:
    """The backbone; it has no weights and computes in float32 only, whatever is asked for."""
    return EmbeddedBackbone()
