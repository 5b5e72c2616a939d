"""Options of a training, each declared once."""

from __future__ import annotations

import dataclasses

from fiftyone_promerge.training.recipes import RECIPES
from fiftyone_promerge.training.registry import ARCHITECTURES, ENGINES
from promerge_core.options import DTYPES
from promerge_core.parameters import Config, parameter


@dataclasses.dataclass(frozen=True)
class TrainingOptions(Config):
    """How a detector is trained.

    A run continues only with a recipe that is scaled to the same batch: `batch_size` and `devices`
    decide no more than that.
    """

    recipe: str = parameter(
        "promerge_plus",
        f"How it is trained: {', '.join(RECIPES)}, or a YAML file with a recipe of your own",
        suggestions=RECIPES,
        path="file",
        is_main=True,
    )
    engine: str = parameter(
        "torchvision",
        "What trains; detectron2 must be installed by hand",
        choices=ENGINES,
        is_main=True,
    )
    architecture: str | None = parameter(
        None,
        f"One of {', '.join(ARCHITECTURES)}, or any timm ConvNet as timm:NAME; by default the "
        "engine's first",
        type=str,
        suggestions=ARCHITECTURES,
        is_main=True,
    )
    classes: str | None = parameter(
        None,
        "The attribute of the labels with the name of their class, such as label; by default all "
        "labels are of one class",
        type=str,
        suggestions=("label", "category"),
        is_main=True,
    )
    weights: str | None = parameter(
        None,
        "A file with a backbone or a whole detector (ours, CutLER's, torchvision's), random, or "
        "pretrained (DINO's or timm's, downloaded), which is the default where there is one",
        type=str,
        label="Initial weights",
        suggestions=("random", "pretrained"),
        path="file",
        is_main=True,
    )
    iterations: int | None = parameter(
        None,
        "Optimizer steps of the first round; the others follow; by default the recipe's",
        type=int,
        low=1,
    )
    minutes: float | None = parameter(
        None,
        "Minutes that the whole run may take; the recipe becomes shorter where it would not fit",
        type=float,
        low=0,
        is_main=True,
    )
    learning_rate: float | None = parameter(
        None,
        "Learning rate of the first round; the others follow; by default the recipe's",
        type=float,
        low=0,
    )
    image_size: int | None = parameter(
        None,
        "Short side of an image in prediction, in pixels; sizes in training follow; by default "
        "the recipe's",
        type=int,
        low=32,
        high=8192,
    )
    precision: str = parameter(
        "auto",
        "Number type to train in; auto is float16 on GPUs, and on CPUs bfloat16 where the recipe "
        "and the hardware allow it, else float32",
        choices=DTYPES,
    )
    seed: int | None = parameter(
        None,
        "Seed of the initial weights, the order and the augmentation; by default the recipe's",
        type=int,
        low=0,
        high=2**32 - 1,
    )
    rounds: int | None = parameter(
        None, "Rounds of the recipe to do; by default all", type=int, low=1, decides=False
    )
    patience: int | None = parameter(
        None,
        "End a round after this many validations without a better AP; by default never",
        type=int,
        low=1,
        decides=False,
    )
    batch_size: int | None = parameter(
        None,
        "Images in a step, on all devices; by default 2 per device",
        type=int,
        low=1,
        decides=False,
    )
    devices: int = parameter(
        1,
        "Devices of this machine",
        low=1,
        high=1024,
        is_main=True,
        group="Machine",
        decides=False,
    )
    num_workers: int = parameter(
        2,
        "Processes per device that read images",
        label="Workers",
        low=0,
        high=256,
        flags=("--workers",),
        is_main=True,
        group="Machine",
        decides=False,
    )
