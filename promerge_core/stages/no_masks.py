"""Why an image has no masks."""

from __future__ import annotations

import enum


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
