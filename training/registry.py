"""The engines that train a detector, one entry each, and the architectures that each of them has.

An entry says all that the commands, forms and docs need to know of an engine, and where its code
is. The code is imported when it is first used: `engines.base.find_engine`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class Engine:
    """What trains a detector and loads it.

    Attributes:
        home: its module in the folder `engines`, an `engines.base.EngineModule`.
        install: the command that installs what the engine is built on.
        architectures: names of the architectures it can train, the default first, each with its
            name as a person reads it.
    """

    home: str
    install: str
    architectures: Mapping[str, str]


ENGINES = {
    "torchvision": Engine(
        home="torchvision.engine",
        install="pip install 'fiftyone-promerge[train]'",
        architectures={"mask_rcnn": "Mask R-CNN"},
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
