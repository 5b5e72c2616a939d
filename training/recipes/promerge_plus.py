"""ProMerge+ (Li and Shin, ECCV 2024): CutLER's first round, on ProMerge's masks."""

import dataclasses

from .cutler import CUTLER

PROMERGE_PLUS = dataclasses.replace(
    CUTLER, name="promerge_plus", title="ProMerge+: one round", rounds=CUTLER.rounds[:1]
)
