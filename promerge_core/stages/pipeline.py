"""Features -> Stages: everything between the backbone and the refinement."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F

from promerge_core.config import ProMergeConfig
from promerge_core.errors import PromergeError

from .background import vote_background
from .merging import merge
from .no_masks import NoMasks
from .padding import pad_rows
from .prompting import propose, unit_features
from .pruning import background_response, mask_areas, mean_response, prune


class FeaturesError(PromergeError):
    """Features have the wrong shape, or are not finite: the backbone's weights are broken."""


# A batch with more proposals than this, padding included, is segmented image by image.
_MOST_ROWS = 20_000


@dataclasses.dataclass(frozen=True)
class Stages:
    """What each stage of ProMerge made of one image; masks are bool on the patch grid [h, w].

    Attributes:
        proposals: [P, h, w], in the order of generation.
        background_candidates: [B, h, w].
        background: [h, w], or None where there is no vote.
        kept: [K, h, w], by ascending area.
        merged: [M, h, w].
        votes: int64 [M], how many proposals were merged into each of `merged`.
        background_similarity: float32 [M], cosine of each mask's mean feature to the background's.
        reason: why `merged` is empty, or None.
    """

    proposals: torch.Tensor
    background_candidates: torch.Tensor
    background: torch.Tensor | None
    kept: torch.Tensor
    merged: torch.Tensor
    votes: torch.Tensor
    background_similarity: torch.Tensor
    reason: NoMasks | None = None


def segment_features(
    features: torch.Tensor,
    config: ProMergeConfig | None = None,
    ground: torch.Tensor | None = None,
) -> Stages:
    """Runs prompting, background vote, pruning and merging on the features of one image.

    Args:
        features: float tensor [C, h, w] of patch features, on any device.
        config: the parameters; the paper's by default.
        ground: bool tensor [h, w], the background where `plain_ground` found it; None leaves it to
            the vote.

    Returns:
        the `Stages`, on the features' device.

    Raises:
        FeaturesError: the features are not three-dimensional, or not finite.

    Examples:
        >>> from promerge_core import load_backbone, prepare_image, segment_features
        >>> from skimage.data import coffee
        >>> backbone = load_backbone("embedded")
        >>> image = prepare_image(coffee(), 480)
        >>> (features,) = backbone(backbone.normalise(image.pixels[None]))
        >>> stages = segment_features(features)
        >>> stages.merged.shape
        torch.Size([3, 60, 60])
    """
    if features.ndim != 3:
        raise FeaturesError(f"features must be [C, h, w]; got shape {tuple(features.shape)}")
    grounds = None if ground is None else ground[None]
    return segment_batch(features[None], config or ProMergeConfig(), grounds)[0]


@torch.inference_mode()
def segment_batch(
    features: torch.Tensor, config: ProMergeConfig, grounds: torch.Tensor | None = None
) -> list[Stages]:
    """Does what `segment_features` does for several images, all in the same operations.

    Args:
        features: float tensor [B, C, h, w] of patch features, on any device.
        config: the parameters.
        grounds: bool tensor [B, h, w] or None; see `segment_features`.

    Returns:
        the `Stages` of each image, on the features' device.

    Raises:
        FeaturesError: the features are not finite.
    """
    height, width = features.shape[2:]
    unit = unit_features(features)
    if not bool(torch.isfinite(unit.sum())):
        raise FeaturesError("NaN or infinite features: the backbone's weights are broken")
    prompted = propose(unit, height, width, config, grounds)
    background = vote_background(prompted.masks, prompted.is_candidate)
    small = background.flatten(1).float().mean(1) < config.min_background_fraction
    n_candidates = prompted.is_candidate.sum(1)
    # The proposals of an image that ends here are not looked at further.
    goes_on = ((n_candidates > 0) & ~small)[prompted.images]
    images = prompted.images[goes_on]
    if len(unit) > 1 and int(images.bincount(minlength=1).amax()) * len(unit) > _MOST_ROWS:
        each = [None] * len(unit) if grounds is None else [*grounds]
        return [
            segment_features(one, config, ground)
            for one, ground in zip(features, each, strict=True)
        ]
    judged = pad_rows(prompted.proposals[goes_on], images, len(unit))
    response = background_response(background, unit)
    kept = prune(judged, background, response, config)
    merged, cluster = merge(kept, unit, config)
    votes = F.one_hot(cluster + 1, merged.shape[1] + 1)[..., 1:].sum(1)
    similarity = mean_response(merged, response)
    n_proposals = prompted.images.bincount(minlength=len(unit))
    n_kept, n_merged = ((mask_areas(masks) > 0).sum(1) for masks in (kept, merged))
    numbers = torch.stack([n_candidates, n_proposals, n_kept, n_merged, small]).tolist()
    candidates = prompted.masks[prompted.is_candidate].split(numbers[0])
    proposals = prompted.proposals.split(numbers[1])
    return [
        Stages(
            proposals=proposals[image],
            background_candidates=candidates[image],
            background=background[image] if q and p else None,
            kept=kept[image, :k],
            merged=merged[image, :m],
            votes=votes[image, :m],
            background_similarity=similarity[image, :m],
            reason=_reason(q, p, m, bool(is_small)),
        )
        for image, (q, p, k, m, is_small) in enumerate(zip(*numbers, strict=True))
    ]


def _reason(candidates: int, proposals: int, merged: int, small: bool) -> NoMasks | None:
    """Why there are no masks, from how many there were before."""
    if candidates == 0:
        return NoMasks.NO_BACKGROUND
    if proposals == 0:
        return NoMasks.NO_PROPOSALS
    if small:
        return NoMasks.SMALL_BACKGROUND
    return None if merged else NoMasks.ALL_PRUNED
