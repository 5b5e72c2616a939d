"""What a recipe says, and how it follows the number of images and devices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from promerge_core import PromergeError


class RecipeError(PromergeError):
    """There is no such recipe, a number of it is not allowed, or it cannot be scaled as asked."""


def _limited(low: float = 0, high: float | None = None, **options: Any) -> Any:
    """Declares a number of a recipe, or a list of them, with the smallest and largest allowed."""
    return dataclasses.field(metadata={"low": low, "high": high}, **options)


def _one_of(*choices: str, default: str) -> Any:
    """Declares a name in a recipe."""
    return dataclasses.field(metadata={"choices": choices}, default=default)


@dataclasses.dataclass(frozen=True)
class Round:
    """One round of training.

    Attributes:
        iterations: optimizer steps.
        learning_rate: of the optimizer, after the warm-up.
        milestones: iterations at which the learning rate is multiplied by the recipe's `gamma`.
        droploss_iou: a proposal whose predicted box has at most this IoU with every true box gets
            no classification loss; None switches DropLoss off.
        copy_paste_scale: range of the size of a pasted image, relative to the one it goes into;
            None pastes nothing.
        rpn_nms: IoU of two proposals of the RPN from which on one is dropped.
        rpn_train_proposals: proposals of the RPN per image, in training.
        score_threshold: score of a prediction of the round before from which on it is a label of
            this round; None in the first round, whose labels are the dataset's.
    """

    iterations: int = _limited(1)
    learning_rate: float = _limited()
    milestones: tuple[int, ...] = _limited()
    droploss_iou: float | None = _limited(0, 1)
    copy_paste_scale: tuple[float, float] | None = _limited(0, 1)
    rpn_nms: float = _limited(0, 1)
    rpn_train_proposals: int = _limited(1)
    score_threshold: float | None = _limited(0, 1, default=None)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a detector is trained: every number of it.

    Attributes:
        name: its name in `RECIPES`.
        rounds: the first is trained on the dataset's masks, the others on predictions.
        num_images: images that `iterations` are meant for.
        batch_size: images in a step, on all devices together, that `learning_rate` is meant for.
        images_per_device: images in a step on one device, where no batch size is asked for.
        min_samples: images to be seen in a round, counted with repetition, however few there are.
        warmup_iterations: steps in which the learning rate rises linearly.
        warmup_factor: the first step's learning rate relative to the full one.
        gamma: factor of the learning rate at a milestone.
        momentum: of SGD.
        weight_decay: of the optimizer, for all parameters but those of normalisation layers, and
            with `adamw` but biases.
        gradient_norm: the gradient of each parameter is clipped to this L2 norm.
        short_sides: an image's short side becomes one of these in training, in pixels.
        long_side: an image's long side is at most this, in pixels.
        test_short_side: an image's short side in validation and prediction, in pixels.
        rpn_pre_nms: proposals of the RPN per level before suppression, in training and test.
        rpn_test_proposals: proposals of the RPN per image, in test.
        proposals_per_image: proposals sampled for the heads' loss.
        max_copy_paste_cover: a pasted instance that covers this share of another is not pasted.
        label_iou: an old mask with this IoU to a new label is not a label of the next round.
        validation_fraction: share of the images that AP is measured on.
        max_validation_images: and no more than so many.
        min_validation_images: and no fewer than so many, or half of the images.
        validations: how many times AP is measured in a round.
        checkpoints: how many times a checkpoint is written in a round.
        seed: of the initial weights, the order of the images and their augmentation.
        images_power: iterations follow the number of images to this power; at 1 each image is seen
            as often as in the recipe, at 0.5 four times as many are seen half as often.
        optimizer: `sgd`, or `adamw` (Loshchilov and Hutter 2019), which needs no `momentum`.
        decay: how the learning rate falls: in `steps`, at the milestones, or as a `cosine` to 0.
        norm: the normalisation of the backbone and the FPN: `batch`, synchronised over devices,
            `group` (Wu and He 2018), or `frozen`, that of the initial weights.
        average: decay per step of the moving average of the weights that is validated and kept;
            None keeps the weights themselves.
        crop: side in pixels of the square that is cut out of each training image; None trains on
            whole images, whose short sides are `short_sides`.
        crop_scales: range of the size of an image before it is cut, relative to that in prediction.
        jitter: brightness, contrast and saturation are multiplied by 1 plus or minus at most this.
        anchor_sizes: sides of the RPN's anchors in pixels, one per level of the FPN, the finest
            first.
        bfloat16: whether a CPU that has bfloat16 in hardware trains in it.
        adapts: whether a run chooses `anchor_sizes` and `test_short_side`, which is then the
            largest, from the sizes of its images and labels.
        architecture: the architecture where none is asked for; None is the engine's first.
        weights: the initial weights where none are asked for; None is DINO's ResNet-50.
        title: what a form calls it; no part of what `to_dict` gives.
        by_architecture: what is different for an architecture, by its name; no part of it either.
    """

    name: str
    rounds: tuple[Round, ...]
    num_images: int = _limited(1)
    batch_size: int = _limited(1)
    images_per_device: int = _limited(1)
    min_samples: int = _limited()
    warmup_iterations: int = _limited()
    warmup_factor: float = _limited(0, 1)
    gamma: float = _limited()
    momentum: float = _limited(0, 1)
    weight_decay: float = _limited()
    gradient_norm: float = _limited()
    short_sides: tuple[int, ...] = _limited(1)
    long_side: int = _limited(1)
    test_short_side: int = _limited(32, 8192)
    rpn_pre_nms: tuple[int, int] = _limited(1)
    rpn_test_proposals: int = _limited(1)
    proposals_per_image: int = _limited(1)
    max_copy_paste_cover: float = _limited(0, 1)
    label_iou: float = _limited(0, 1)
    validation_fraction: float = _limited(0, 1)
    max_validation_images: int = _limited(1)
    validations: int = _limited(1)
    checkpoints: int = _limited(1)
    seed: int = _limited(0, 2**32 - 1, default=0)
    min_validation_images: int = _limited(1, default=1)
    images_power: float = _limited(0, 1, default=1.0)
    optimizer: str = _one_of("sgd", "adamw", default="sgd")
    decay: str = _one_of("steps", "cosine", default="steps")
    norm: str = _one_of("batch", "group", "frozen", default="batch")
    average: float | None = _limited(0, 1, default=None)
    crop: int | None = _limited(32, 8192, default=None)
    crop_scales: tuple[float, float] = _limited(0.01, 100, default=(1.0, 1.0))
    jitter: float = _limited(0, 1, default=0.0)
    anchor_sizes: tuple[float, ...] = _limited(1, default=(32, 64, 128, 256, 512))
    bfloat16: bool = False
    adapts: bool = False
    architecture: str | None = None
    weights: str | None = None
    title: str = dataclasses.field(default="", compare=False)
    by_architecture: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=dict, compare=False
    )

    def of(self, architecture: str) -> Recipe:
        """The recipe for an architecture."""
        return dataclasses.replace(self, **self.by_architecture.get(architecture, {}))

    def scaled(self, num_images: int, num_devices: int, batch_size: int | None = None) -> Recipe:
        """The recipe for other numbers of images and devices, by the linear rule.

        Each image is seen as often as in the recipe, unless `images_power` says otherwise, and at
        least `min_samples` are seen in all. The learning rate is proportional to the batch, that
        of `adamw` to its square root (Malladi et al. 2022); iterations, milestones and the warm-up
        are inversely proportional to it.

        Args:
            num_images: images to train on.
            num_devices: devices of all nodes together.
            batch_size: images in a step, on all devices together; by default
                `images_per_device` each, and no more than the recipe's.

        Returns:
            the scaled recipe.

        Raises:
            RecipeError: the batch cannot be divided evenly among the devices.
        """
        if batch_size is None:
            batch_size = num_devices * max(
                min(self.images_per_device, self.batch_size // num_devices), 1
            )
        if batch_size < num_devices or batch_size % num_devices:
            raise RecipeError(
                f"a batch of {batch_size} images cannot be divided evenly among {num_devices} "
                f"devices; choose a multiple of {num_devices}"
            )
        rounds = tuple(self._scaled_round(one, num_images, batch_size) for one in self.rounds)
        shortest = min(one.iterations for one in rounds)
        warmup = round(self.warmup_iterations * self.batch_size / batch_size)
        return dataclasses.replace(
            self,
            rounds=rounds,
            num_images=num_images,
            batch_size=batch_size,
            warmup_iterations=min(warmup, shortest // 10),
        )

    def _scaled_round(self, one: Round, num_images: int, batch_size: int) -> Round:
        share = min(num_images / self.num_images, 1) ** self.images_power
        samples = one.iterations * self.batch_size * share
        rate = one.learning_rate * batch_size / self.batch_size
        if self.optimizer == "adamw":
            rate = one.learning_rate * math.sqrt(batch_size / self.batch_size)
        iterations = max(round(max(samples, self.min_samples) / batch_size), 1)
        return dataclasses.replace(
            one,
            iterations=iterations,
            learning_rate=rate,
            milestones=tuple(round(m * iterations / one.iterations) for m in one.milestones),
        )

    def to_dict(self) -> dict[str, Any]:
        """Every number, ready for JSON."""
        values = dataclasses.asdict(self)
        del values["title"], values["by_architecture"]
        return values

    def numbers(self) -> dict[str, Any]:
        """Every number in one level, those of the rounds by names such as `rpn_nms of round 0`."""
        values = self.to_dict()
        rounds = values.pop("rounds")
        return values | {
            f"{name} of round {number}": value
            for number, one in enumerate(rounds)
            for name, value in one.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The recipe that `to_dict` gave, also after a way through JSON."""
        rounds = tuple(Round(**_with_tuples(one)) for one in values["rounds"])
        return cls(**{**_with_tuples(values), "rounds": rounds})


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
