"""Features -> Stages: everything between the backbone and the refinement."""

from __future__ import annotations

import dataclasses
import enum

import torch

from .background import vote_background
from .config import ProMergeConfig
from .errors import PromergeError
from .merging import merge
from .prompting import propose, unit_features
from .pruning import mean_features, mean_response, prune


class FeaturesError(PromergeError):
    """Features are of another shape, or not finite: the backbone's weights are broken."""


class NoMasks(str, enum.Enum):
    """Why an image has no masks."""

    NO_BACKGROUND = "no_background"
    NO_PROPOSALS = "no_proposals"
    SMALL_BACKGROUND = "small_background"
    ALL_PRUNED = "all_pruned"
    NO_CUT = "no_cut"
    ALL_REJECTED = "all_rejected"

    @property
    def explanation(self) -> str:
        """One line for a person."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    NoMasks.NO_BACKGROUND: "no prompt's proposal covers two borders: nothing votes for background",
    NoMasks.NO_PROPOSALS: "every prompt's proposal covers two borders: all is background",
    NoMasks.SMALL_BACKGROUND: "the voted background is smaller than min_background_fraction",
    NoMasks.ALL_PRUNED: "every proposal looks like the background",
    NoMasks.NO_CUT: "MaskCut found no cut that is large enough",
    NoMasks.ALL_REJECTED: "the CRF changed every mask beyond refine_iou",
}


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


@torch.inference_mode()
def segment_features(features: torch.Tensor, config: ProMergeConfig | None = None) -> Stages:
    """Runs prompting, background vote, pruning and merging on the features of one image.

    Args:
        features: float tensor [C, h, w] of patch features, on any device.
        config: the parameters; the paper's by default.

    Returns:
        the `Stages`, on the features' device.

    Raises:
        FeaturesError: the features are not three-dimensional, or not finite.
    """
    if features.ndim != 3:
        raise FeaturesError(f"features must be [C, h, w]; got shape {tuple(features.shape)}")
    config = config or ProMergeConfig()
    height, width = features.shape[1:]
    unit = unit_features(features)
    if not bool(torch.isfinite(unit.sum())):
        raise FeaturesError(
            "features hold NaN or infinite values; the backbone's weights are broken"
        )
    proposals, _, candidates, _ = propose(unit, height, width, config)
    background = vote_background(candidates) if len(proposals) else None
    reason = _early_exit(proposals, candidates, background, config)
    if reason is not None or background is None:
        none = proposals[:0]
        zero = torch.zeros(0, dtype=torch.int64, device=features.device)
        return Stages(proposals, candidates, background, none, none, zero, zero.float(), reason)
    kept = prune(proposals, background, unit, config)
    merged, cluster = merge(kept, unit, config)
    votes = cluster.bincount(minlength=len(merged))
    similarity = mean_response(merged, unit @ mean_features(background[None], unit)[0])
    reason = None if len(merged) else NoMasks.ALL_PRUNED
    return Stages(proposals, candidates, background, kept, merged, votes, similarity, reason)


def _early_exit(
    proposals: torch.Tensor,
    candidates: torch.Tensor,
    background: torch.Tensor | None,
    config: ProMergeConfig,
) -> NoMasks | None:
    if len(candidates) == 0:
        return NoMasks.NO_BACKGROUND
    if len(proposals) == 0 or background is None:
        return NoMasks.NO_PROPOSALS
    if bool(background.float().mean() < config.min_background_fraction):
        return NoMasks.SMALL_BACKGROUND
    return None
