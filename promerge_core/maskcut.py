"""MaskCut, the baseline: instances by normalised cuts, one after the other (CutLER, CVPR 2023)."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from promerge_core.backbones.base import Backbone
from promerge_core.machine.processors import each_image
from promerge_core.masks.components import connected_components
from promerge_core.masks.overlap import mask_iou
from promerge_core.stages.found import Found
from promerge_core.stages.no_masks import NoMasks
from promerge_core.stages.prompting import unit_features

from .config import MaskCutConfig
from .generator import MaskGenerator

# As in the official code (maskcut.py of CutLER): the affinity of patches that are not connected;
# a cut counts as none above this IoU with the cut before it, or up to this share of the grid.
_WEAK = 1e-5
_MAX_OVERLAP = 0.5
_MIN_AREA = 0.01


class MaskCut(MaskGenerator):
    """Unsupervised instance segmentation by iterated normalised cuts.

    Args:
        backbone: gives the patch features.
        config: the parameters; the paper's by default.

    Examples:
        >>> from promerge_core import MaskCut, MaskCutConfig, load_backbone
        >>> from skimage.data import coffee
        >>> generator = MaskCut(load_backbone("embedded"), MaskCutConfig(image_size=240))
        >>> (masks,) = generator.generate([coffee()])
        >>> len(masks), masks[0].to_array().shape
        (1, (400, 600))
    """

    config: MaskCutConfig

    def __init__(self, backbone: Backbone, config: MaskCutConfig | None = None) -> None:
        super().__init__(backbone, config or MaskCutConfig())

    def find(self, features: torch.Tensor, pixels: torch.Tensor) -> list[Found]:
        """See `cut_features`; every mask has score 1, as in the paper."""
        cut = functools.partial(cut_features, config=self.config)
        cuts = each_image(cut, features) if features.device.type == "cpu" else map(cut, features)
        return [
            Found(masks, {}, torch.ones_like, None if len(masks) else NoMasks.NO_CUT)
            for masks in cuts
        ]


@torch.inference_mode()
def cut_features(features: torch.Tensor, config: MaskCutConfig | None = None) -> torch.Tensor:
    """Cuts up to `n_masks` instances out of the features of one image.

    Args:
        features: float tensor [C, h, w] of patch features, on any device.
        config: uses `tau` and `n_masks`.

    Returns:
        bool tensor [M, h, w]; M is at most `n_masks`, and no two masks overlap.
    """
    config = config or MaskCutConfig()
    height, width = features.shape[1:]
    unit = unit_features(features)
    taken = torch.zeros(height, width, dtype=torch.bool, device=features.device)
    before = taken
    masks = []
    for number in range(config.n_masks):
        vector = second_eigenvector(unit * ~taken.flatten()[:, None], config.tau)
        if not bool(vector.any()):
            break
        cut = foreground(vector.view(height, width))
        if number and _counts_as_none(cut, before):
            before = torch.zeros_like(cut)
            continue
        masks.append(cut & ~taken)
        before = cut
        taken = taken | cut
    found = torch.stack(masks) if masks else taken[None][:0]
    return found[found.flatten(1).any(1)]


def second_eigenvector(unit: torch.Tensor, tau: float) -> torch.Tensor:
    """The second smallest generalised eigenvector of (D - A, D).

    A is 1 where the cosine affinity of two patches is above `tau` and 1e-5 elsewhere, D its row
    sums. Substituting v = D^-1/2 u makes it the second largest eigenvector u of D^-1/2 A D^-1/2,
    whose largest one is D^1/2 1 and is taken out; Lanczos iteration finds u from products with A
    alone, which stay on the features' device.

    Args:
        unit: float32 tensor [h * w, C] of unit features.
        tau: cosine in [-1, 1].

    Returns:
        float64 tensor [h * w] of length one; its entry of largest magnitude is positive, so that
        the result does not depend on the solver. Zero where all patches are equally connected,
        so that no cut is better than another.
    """
    affinity = torch.where(unit @ unit.T > tau, 1.0, _WEAK)
    if bool(affinity.amin() == affinity.amax()):
        return unit.new_zeros(len(unit), dtype=torch.float64)
    root = affinity.sum(1, dtype=torch.float64).sqrt()
    largest = root / root.norm()

    def product(values: np.ndarray) -> np.ndarray:
        u = torch.from_numpy(values.ravel()).to(unit.device)
        u = u - largest * (largest @ u)
        u = (affinity @ (u / root).float()).double() / root
        return (u - largest * (largest @ u)).cpu().numpy()

    patches = len(unit)
    operator = LinearOperator((patches, patches), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(patches)
    _, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=1e-6)
    vector = torch.from_numpy(vectors[:, 0]).to(unit.device) / root
    vector = vector / vector.norm()
    return vector * vector[vector.abs().argmax()].sign()


def foreground(vector: torch.Tensor) -> torch.Tensor:
    """The part of a cut that is the instance.

    The patches above the mean, or the others where these hold three of the image's corners or
    lack the patch of the largest magnitude; of them, the component that holds the extreme patch.

    Args:
        vector: float tensor [h, w], an eigenvector of either sign.

    Returns:
        bool tensor [h, w].
    """
    above = vector > vector.mean()
    corners = int(above[:: len(above) - 1, :: above.shape[1] - 1].sum())
    if corners >= 3 or not bool(above.flatten()[vector.abs().argmax()]):
        above, vector = ~above, -vector
    labels, _ = connected_components(above[None])
    return labels[0] == labels.flatten()[vector.argmax()]


def _counts_as_none(cut: torch.Tensor, before: torch.Tensor) -> bool:
    """Whether a later cut only repeats the one before it, or is too small."""
    overlap = mask_iou(cut[None], before[None])[0]
    return bool(overlap > _MAX_OVERLAP) or bool(cut.double().mean() <= _MIN_AREA)
