"""What a run over many images did."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from promerge_core.images import SkippedImage
from promerge_core.stages.no_masks import NoMasks

from .sources import RunError

if TYPE_CHECKING:
    from promerge_core.generator import ImageMasks

_NAMED = 3


class SkippedKind(NamedTuple):
    """The images that a run skipped for one kind of reason.

    Attributes:
        reason: the kind, as "not an image".
        images: the images, each with the whole reason.
    """

    reason: str
    images: list[SkippedImage]

    @property
    def names(self) -> str:
        """The names of the first images without their folders, and how many others there are."""
        names = ", ".join(PurePath(image.path).name for image in self.images[:_NAMED])
        others = len(self.images) - _NAMED
        return f"{names} and {others} more" if others > 0 else names


@dataclasses.dataclass
class Summary:
    """Counts of a run.

    Attributes:
        images: images that were processed.
        masks: masks in all of them.
        reasons: why images have no masks -> how many such images.
        skipped: each image that could not be read, and why.
        seconds: stage -> seconds.
    """

    images: int = 0
    masks: int = 0
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)
    skipped: list[SkippedImage] = dataclasses.field(default_factory=list)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def add(self, masks: ImageMasks) -> None:
        """Counts one processed image."""
        self.count(len(masks), masks.reason)

    def count(self, masks: int, reason: str | None) -> None:
        """Counts one processed image.

        Args:
            masks: the number of its masks.
            reason: why there are none, a value of `NoMasks`; None where there are some.
        """
        self.images += 1
        self.masks += masks
        if reason is not None:
            self.reasons[NoMasks(reason).value] += 1

    def skip(self, image: SkippedImage) -> None:
        """Counts one image that could not be read."""
        self.skipped.append(image)

    def skipped_kinds(self) -> list[SkippedKind]:
        """The skipped images by kind of reason, the most frequent first."""
        kinds = defaultdict(list)
        for image in self.skipped:
            reason = image.why.rpartition(f"{PurePath(image.path).name}: ")[2]
            # What follows a colon differs from image to image, as the place of the damage.
            kinds[reason.partition(": ")[0]].append(image)
        by_count = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
        return [SkippedKind(*kind) for kind in by_count]

    def merge(self, other: Summary) -> None:
        """Adds the counts of another run."""
        self.images += other.images
        self.masks += other.masks
        self.reasons.update(other.reasons)
        self.skipped += other.skipped
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @classmethod
    def from_dict(cls, counts: Any) -> Summary:
        """The counts that `to_dict` gave.

        Raises:
            ValueError: it gave no such thing.
        """
        try:
            numbers = counts["images"], counts["masks"], *counts["reasons"].values()
            seconds = {str(stage): float(one) for stage, one in counts["seconds"].items()}
            reasons = Counter({NoMasks(one).value: n for one, n in counts["reasons"].items()})
            skipped = [SkippedImage(str(one["path"]), str(one["why"])) for one in counts["skipped"]]
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError("no counts of a run") from error
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise ValueError("no counts of a run")
        return cls(counts["images"], counts["masks"], reasons, skipped, seconds)

    def to_dict(self) -> dict[str, Any]:
        """All counts, ready for JSON."""
        skipped = [image._asdict() for image in self.skipped]
        return {**dataclasses.asdict(self), "reasons": dict(self.reasons), "skipped": skipped}


def read_summary(content: Any, path: object) -> Summary:
    """The summary in what a run left.

    Args:
        content: what was read: an object whose `summary` is what `Summary.to_dict` gave.
        path: where it was read, for the error message.

    Returns:
        the counts.

    Raises:
        RunError: there is no such summary in it.
    """
    try:
        return Summary.from_dict(content["summary"])
    except (TypeError, KeyError, ValueError) as error:
        raise RunError(
            f"{path} is damaged: it has no summary of a run; delete it, and the command that "
            f"began the run makes it again"
        ) from error
