"""The cascade that prunes proposals which look like background (ProMerge, section 3.2)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

import torch

from promerge_core.config import ProMergeConfig
from promerge_core.masks.fixed_point import fixed_point

from .padding import choose_rows, in_order


class Verdict(str, enum.Enum):
    """What the cascade does with a proposal: it keeps it, or prunes it by one of its rules.

    Where several rules apply, the one listed first is the verdict. To add a rule, add a member here
    and its condition to `_rules_of_whole` or `_rules_of_new_part`.

    Attributes:
        label: what becomes of such proposals, to be read after their number.
        explanation: why a proposal gets this verdict, in one line.
    """

    label: str
    explanation: str

    KEPT = "kept", "are kept", "it brings something new that is not background"
    NOTHING_NEW = (
        "nothing_new",
        "bring nothing new",
        "smaller proposals that were kept cover all of it",
    )
    BACKGROUND_OVERLAP = (
        "background_overlap",
        "bring only background",
        "what it brings that is new lies in the background",
    )
    BACKGROUND_SIMILARITY = (
        "background_similarity",
        "look like background",
        "it looks like the background",
    )

    def __new__(cls, value: str, label: str, explanation: str) -> Verdict:
        """See `enum.Enum`."""
        verdict = str.__new__(cls, value)
        verdict._value_ = value
        verdict.label, verdict.explanation = label, explanation
        return verdict


RULES = tuple(verdict for verdict in Verdict if verdict is not Verdict.KEPT)
"""The verdicts that prune, in order of precedence."""


class Ascending(NamedTuple):
    """The proposals of each image by ascending area; empty ones come last.

    Attributes:
        order: int64 tensor [B, P], their places in the order of generation.
        masks: bool tensor [B, P, h, w].
        areas: int32 tensor [B, P], number of patches.
        similarities: float32 tensor [B, P], cosine of the mean feature to the background's.
    """

    order: torch.Tensor
    masks: torch.Tensor
    areas: torch.Tensor
    similarities: torch.Tensor


class NewPart(NamedTuple):
    """The part of each proposal that no smaller kept one has.

    Attributes:
        areas: float32 tensor [B, P], number of patches.
        background: float32 tensor [B, P], the fraction of them that is background; 0 for none.
    """

    areas: torch.Tensor
    background: torch.Tensor


class Judgement(NamedTuple):
    """What the cascade says of each proposal and why; tensors [B, P] by ascending area.

    Attributes:
        proposals: what was judged.
        new_part: what is new in each.
        verdicts: int64, index of each verdict in `tuple(Verdict)`; an empty mask has nothing new.
    """

    proposals: Ascending
    new_part: NewPart
    verdicts: torch.Tensor


def _rules_of_whole(proposals: Ascending, config: ProMergeConfig) -> dict[Verdict, torch.Tensor]:
    """The rules that look at a proposal alone: which ones each prunes, bool [B, P]."""
    return {
        Verdict.BACKGROUND_SIMILARITY: proposals.similarities >= config.background_similarity,
    }


def _rules_of_new_part(new_part: NewPart, config: ProMergeConfig) -> dict[Verdict, torch.Tensor]:
    """The rules that look at what is new in a proposal: which ones each prunes, bool [B, P]."""
    return {
        Verdict.NOTHING_NEW: new_part.areas == 0,
        Verdict.BACKGROUND_OVERLAP: new_part.background >= config.background_overlap,
    }


def mask_areas(masks: torch.Tensor) -> torch.Tensor:
    """Number of patches in each mask: bool [..., h, w] -> int32 [...]."""
    return masks.flatten(-2).sum(-1, dtype=torch.int32)


def mean_features(masks: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Mean of the unit features inside each mask; itself not of unit length.

    Args:
        masks: bool tensor [..., M, h, w].
        unit: float32 tensor [..., h * w, C].

    Returns:
        float32 tensor [..., M, C]; zero for an empty mask.
    """
    return masks.flatten(-2).float() @ unit / mask_areas(masks)[..., None].clamp(min=1)


def mean_response(masks: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
    """Mean of a per-patch value inside each mask.

    With `response = unit @ f` this is <mean feature of the mask, f>, at the cost of one number per
    patch instead of C.

    Args:
        masks: bool tensor [..., M, h, w].
        response: float32 tensor [..., h * w].

    Returns:
        float32 tensor [..., M]; zero for an empty mask.
    """
    total = (masks.flatten(-2).float() @ response[..., None])[..., 0]
    return total / mask_areas(masks).clamp(min=1)


def background_response(background: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Cosine of each patch to the mean feature of the background.

    Args:
        background: bool tensor [B, h, w].
        unit: float32 tensor [B, h * w, C].

    Returns:
        float32 tensor [B, h * w].
    """
    return (unit @ mean_features(background[:, None], unit).mT)[..., 0]


def prune(
    proposals: torch.Tensor,
    background: torch.Tensor,
    response: torch.Tensor,
    config: ProMergeConfig,
) -> torch.Tensor:
    """Keeps the proposals that no rule prunes.

    Args:
        proposals: bool tensor [B, P, h, w] in the order of generation, then empty ones.
        background: bool tensor [B, h, w].
        response: float32 tensor [B, h * w], what `background_response` gives.
        config: uses `background_overlap`, `background_similarity`.

    Returns:
        bool tensor [B, K, h, w] of the kept proposals by ascending area, then empty ones.
    """
    ascending = _ascending(proposals, response)
    return choose_rows(ascending.masks, _cascade(ascending, background, config))


def judge(
    proposals: torch.Tensor,
    background: torch.Tensor,
    response: torch.Tensor,
    config: ProMergeConfig,
) -> Judgement:
    """Says which proposals `prune` keeps, and which rule prunes each of the others.

    Args:
        proposals: bool tensor [B, P, h, w] in the order of generation, then empty ones.
        background: bool tensor [B, h, w].
        response: float32 tensor [B, h * w], what `background_response` gives.
        config: uses `background_overlap`, `background_similarity`.

    Returns:
        the `Judgement`.
    """
    ascending = _ascending(proposals, response)
    kept = _cascade(ascending, background, config)
    new_part = _new_parts(ascending.masks, background)(kept)
    pruned = _rules_of_whole(ascending, config) | _rules_of_new_part(new_part, config)
    applies = torch.stack([torch.zeros_like(kept), *(pruned[rule] for rule in RULES)])
    # The first of those that apply; 0, which is `KEPT`, where none does.
    return Judgement(ascending, new_part, applies.int().argmax(0))


def _ascending(proposals: torch.Tensor, response: torch.Tensor) -> Ascending:
    areas = mask_areas(proposals)
    order = areas.where(areas > 0, response.shape[1] + 1).argsort(dim=1, stable=True)
    masks = in_order(proposals, order)
    return Ascending(order, masks, areas.gather(1, order), mean_response(masks, response))


def _cascade(
    proposals: Ascending, background: torch.Tensor, config: ProMergeConfig
) -> torch.Tensor:
    """Which proposals are kept, bool [B, P].

    By ascending area, a proposal is kept when no rule prunes it. The rules that look at it alone
    are asked once. What is new in it depends on the smaller ones that are kept: that is solved by
    iterating over all proposals at once. Every round settles at least one more of them, as each
    depends on smaller ones only, and the fixed point is the result of the sequential cascade.
    """
    remains = ~_any(_rules_of_whole(proposals, config)) & (proposals.areas > 0)
    new_parts = _new_parts(choose_rows(proposals.masks, remains), background)
    own = choose_rows(remains, remains)
    # The empty rows behind an image's own have nothing new, so they are never kept.
    settled = fixed_point(lambda kept: ~_any(_rules_of_new_part(new_parts(kept), config)), own)
    return torch.zeros_like(remains).masked_scatter_(remains, settled[own])


def _any(rules: dict[Verdict, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(rules.values())).any(0)


def _new_parts(masks: torch.Tensor, background: torch.Tensor) -> Callable[[torch.Tensor], NewPart]:
    """Measures the part of each mask that no kept mask before it has.

    Args:
        masks: bool tensor [B, P, h, w], by ascending area.
        background: bool tensor [B, h, w].

    Returns:
        a function of the kept masks, bool [B, P], that gives the `NewPart` of every mask.
    """
    masks, background = masks.flatten(2), background.flatten(1)
    count = masks.shape[1]
    order = torch.arange(count, device=masks.device, dtype=torch.int32)[:, None]
    inside = torch.where(masks, order, count)
    # One product counts both the new patches and those of them that are background.
    counted = torch.stack([torch.ones_like(background), background], dim=1).float()

    def measure(kept: torch.Tensor) -> NewPart:
        if count == 0:
            return NewPart(counted.new_zeros(kept.shape), counted.new_zeros(kept.shape))
        # The first kept proposal that holds a patch is the one to which the patch is new.
        first = torch.where(kept[..., None], inside, count).amin(1, keepdim=True)
        areas, covered = (counted @ (masks & (first >= order)).float().mT).unbind(1)
        return NewPart(areas, covered / areas.clamp(min=1))

    return measure
