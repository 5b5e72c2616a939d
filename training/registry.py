"""The engines that train a detector, one entry each, and the architectures that each of them has.

An entry says all that the commands, forms and docs need to know of an engine, and where its code
is. The code is imported when it is first used: `engines.base.find_engine`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from promerge_core.registry import TIMM_PREFIX


@dataclasses.dataclass(frozen=True, kw_only=True)
class Engine:
    """What trains a detector and loads it.

    Attributes:
        home: its module in the folder `engines`, an `engines.base.EngineModule`.
        install: the command that installs what the engine is built on.
        architectures: names of the architectures it can train, the default first, each with its
            name as a person reads it.
        with_timm: whether it can also train `timm:<name>`, a Mask R-CNN on a ConvNet of timm.
    """

    home: str
    install: str
    architectures: Mapping[str, str]
    with_timm: bool = False

    def has(self, architecture: str) -> bool:
        """Whether it can train an architecture; a model of timm need not exist."""
        by_timm = self.with_timm and architecture.startswith(TIMM_PREFIX)
        return by_timm or architecture in self.architectures

    @property
    def listed(self) -> str:
        """Its architectures, as a message lists them."""
        return ", ".join([*self.architectures, *[f"{TIMM_PREFIX}<name>"] * self.with_timm])


ENGINES = {
    "torchvision": Engine(
        home="torchvision.engine",
        install="pip install 'fiftyone-promerge[train]'",
        architectures={
            "mask_rcnn": "Mask R-CNN",
            "mask_rcnn_small": "Small Mask R-CNN (ResNet-18)",
        },
        with_timm=True,
    ),
    "detectron2": Engine(
        home="detectron2.engine",
        install="pip install 'git+https://github.com/facebookresearch/detectron2' "
        "--no-build-isolation",
        architectures={"mask_rcnn": "Mask R-CNN", "cascade_mask_rcnn": "Cascade Mask R-CNN"},
    ),
}
"""Every engine by its name; the first is the default."""

ARCHITECTURES = {
    name: label for engine in ENGINES.values() for name, label in engine.architectures.items()
}
"""Every architecture that some engine has, by its name, and its name as a person reads it."""
