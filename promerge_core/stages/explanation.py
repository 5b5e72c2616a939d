"""How the masks of one image came to be: what each prompt, vote and rule of ProMerge did."""

from __future__ import annotations

import dataclasses

import torch

from promerge_core.config import ProMergeConfig

from .merging import merge
from .no_masks import NoMasks
from .pipeline import Stages, segment_features
from .prompting import prompt_affinities, prompt_indices, propose, unit_features
from .pruning import Verdict, background_response, judge


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """What became of each of P proposals, in the order of generation.

    Attributes:
        verdicts: [P], whether the cascade kept it, or by which rule it was pruned.
        new_areas: int64 [P], patches that no smaller kept proposal has.
        new_background: float32 [P], the fraction of them that is background; 0 for none.
        similarities: float32 [P], cosine of its mean feature to the background's.
        clusters: int64 [P], which of `Stages.merged` it is part of; -1 where it was pruned.
    """

    verdicts: list[Verdict]
    new_areas: torch.Tensor
    new_background: torch.Tensor
    similarities: torch.Tensor
    clusters: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Every stage of one image, with what led to it; masks are on the patch grid [h, w].

    Attributes:
        stages: what `segment_features` gives.
        prompts: int64 [N, 2], row and column of each prompt's patch.
        affinities: float32 [N, h, w], cosine of each patch to each prompt, in [-1, 1].
        is_candidate: bool [N], which prompts vote for the background.
        background_votes: int64 [h, w], how many of those have the patch in their proposal.
        owners: int64 [P], the prompt of each of `stages.proposals`.
        outcomes: what became of the proposals; None where the image has no masks before any
            proposal is judged.
    """

    stages: Stages
    prompts: torch.Tensor
    affinities: torch.Tensor
    is_candidate: torch.Tensor
    background_votes: torch.Tensor
    owners: torch.Tensor
    outcomes: Outcomes | None


@torch.inference_mode()
def explain(
    features: torch.Tensor,
    config: ProMergeConfig | None = None,
    ground: torch.Tensor | None = None,
) -> Explanation:
    """Segments the features of one image, and says why each proposal was kept or not.

    Args:
        features: float tensor [C, h, w] of patch features, on any device.
        config: the parameters; the paper's by default.
        ground: see `segment_features`.

    Returns:
        the `Explanation`, on the features' device.

    Raises:
        FeaturesError: the features are not three-dimensional, or not finite.
    """
    config = config or ProMergeConfig()
    stages = segment_features(features, config, ground)
    height, width = features.shape[1:]
    unit = unit_features(features)
    prompts = prompt_indices(height, width, config.seed_stride, unit.device)
    grounds = None if ground is None else ground[None]
    prompted = propose(unit[None], height, width, config, grounds)
    return Explanation(
        stages=stages,
        prompts=torch.stack([prompts // width, prompts % width], dim=1),
        affinities=prompt_affinities(unit, prompts).view(-1, height, width),
        is_candidate=prompted.is_candidate[0],
        background_votes=stages.background_candidates.sum(0),
        owners=prompted.owners,
        outcomes=_outcomes(stages, unit, config),
    )


def _outcomes(stages: Stages, unit: torch.Tensor, config: ProMergeConfig) -> Outcomes | None:
    if stages.background is None or stages.reason not in (None, NoMasks.ALL_PRUNED):
        return None
    unit, background = unit[None], stages.background[None]
    response = background_response(background, unit)
    proposals, new_part, (verdicts,) = judge(stages.proposals[None], background, response, config)
    names = tuple(Verdict)
    (order,) = proposals.order
    kept = verdicts == names.index(Verdict.KEPT)
    clusters = torch.full_like(order, -1)
    clusters[order[kept]] = merge(stages.kept[None], unit, config)[1][0]
    rank = order.argsort()
    return Outcomes(
        verdicts=[names[index] for index in verdicts[rank].tolist()],
        new_areas=new_part.areas[0, rank].long(),
        new_background=new_part.background[0, rank],
        similarities=proposals.similarities[0, rank],
        clusters=clusters,
    )
