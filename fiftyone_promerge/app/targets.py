"""How much there is to do: what a form and the command say before a run."""

from __future__ import annotations

from typing import NamedTuple

import fiftyone.core.collections as foc
import fiftyone.core.patches as fop

from fiftyone_promerge.fields import count_samples, written_samples

MOST_COUNTED = 50_000
"""In more samples than this nobody counts the labels while a person types: it reads them all."""


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number of things in words.

    Args:
        number: how many there are.
        one: what one is called.
        several: what several are called; by default `one` with an s.

    Returns:
        such as `1 mask` or `1,000 masks`.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


class Target(NamedTuple):
    """Samples, and how many of them have a label in a field.

    Attributes:
        samples: how many samples there are.
        done: how many of them have a label; None where there are too many to count.
        what: what one sample and what several are called.
    """

    samples: int
    done: int | None
    what: tuple[str, str] = ("image", "images")

    @property
    def counted(self) -> str:
        """The number of samples in words, such as `30 images`."""
        return counted(self.samples, *self.what)


def count_target(samples: foc.SampleCollection, field: str | None) -> Target:
    """Counts samples, and those of them that have a label in a field.

    Args:
        samples: a dataset or view.
        field: the field, which may not exist yet; None where there is none.

    Returns:
        the counts; of patches, the done ones are those whose image has a label.
    """
    what = ("patch", "patches") if isinstance(samples, fop.PatchesView) else ("image", "images")
    total = count_samples(samples)
    if total > MOST_COUNTED:
        return Target(total, None, what)
    return Target(total, count_labelled(samples, field), what)


def count_labelled(samples: foc.SampleCollection, field: str | None) -> int:
    """How many samples have a label in a field, which need not exist.

    Args:
        samples: a dataset or view; of patches, those count whose image has a label.
        field: the field; None where there is none.

    Returns:
        the number.
    """
    targets = written_samples(samples)
    if field is None or not targets.has_field(field):
        return 0
    if targets is samples:
        return count_samples(samples.exists(field))
    done = set(targets.exists(field).values("id"))
    return sum(one in done for one in samples.values("sample_id"))


def work_ahead(target: Target, *, overwrite: bool = False) -> str:
    """What a run that writes masks will do, in words.

    Args:
        target: what it is applied to.
        overwrite: whether samples that have a label are done again.

    Returns:
        a line such as `30 images: 28 to do, 2 have masks`.
    """
    if target.done is None:
        rest = "all to do again" if overwrite else "those that have masks are left alone"
    elif overwrite and target.done:
        rest = f"all to do, {target.done:,} of them again"
    elif not target.done:
        rest = "all to do"
    else:
        have = f"{target.done:,} {'has' if target.done == 1 else 'have'} masks"
        rest = f"{target.samples - target.done:,} to do, {have}"
    return f"{target.counted}: {rest}" if target.samples else f"{target.counted}: nothing to do"


def labels_there(target: Target, field: str) -> str:
    """How many samples have labels to read, in words.

    Args:
        target: what the labels are of.
        field: the field of the labels.

    Returns:
        a line such as `30 images: 10 have labels in promerge, 20 have none`.
    """
    if target.done is None:
        return target.counted
    if target.done == target.samples:
        return f"{target.counted}, all with labels in {field}"
    have = f"{target.done:,} {'has' if target.done == 1 else 'have'} labels in {field}"
    none = target.samples - target.done
    return f"{target.counted}: {have}, {none:,} {'has' if none == 1 else 'have'} none"
