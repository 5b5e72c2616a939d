"""The FiftyOne dataset that a command writes to, and the images that can be in one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from promerge_core import SkippedImage
from promerge_core.files import irregular_kind
from promerge_core.runs.sources import ImageEntry, RunError, none_readable

if TYPE_CHECKING:
    import fiftyone as fo


class Images(NamedTuple):
    """The images of a run for a dataset.

    Attributes:
        ids: COCO image ids by the images' paths.
        skipped: the images that no dataset can hold.
    """

    ids: dict[str, int]
    skipped: list[SkippedImage]


def find_images_for_dataset(entries: Sequence[ImageEntry]) -> Images:
    """The images that a FiftyOne dataset can hold; the others are skipped.

    Raises:
        RunError: it can hold none of them.
    """
    images = Images({}, [])
    for entry in entries:
        path, why = _dataset_path(entry.path)
        if why is None:
            images.ids.setdefault(path, entry.id)
        else:
            images.skipped.append(SkippedImage(path, f"{path}: {why}"))
    if images.skipped and not images.ids:
        raise none_readable(images.skipped)
    return images


def _dataset_path(path: Path) -> tuple[str, str | None]:
    """The path that a dataset has of an image, and why it cannot hold the image."""
    import fiftyone.core.media as fomm

    name = os.path.abspath(path)  # noqa: PTH100 - keeps links
    try:
        kind = irregular_kind(path)
        real = str(path.resolve())
    except OSError as error:
        return name, f"cannot be opened: {error.strerror}"
    except ValueError as error:
        return name, f"cannot be opened: {error}"
    if kind is not None:
        return name, f"{kind}, not a file"
    # FiftyOne tells images by their suffix; a link may have one where its file has none.
    found = next((one for one in (real, name) if fomm.get_media_type(one) == fomm.IMAGE), None)
    if found is None:
        return name, f"not an image to FiftyOne: it goes by the suffix, {path.suffix!r}"
    if not _is_text(found):
        return name, "its name is not UTF-8, and FiftyOne keeps only text"
    return found, None


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def old_or_new_dataset(
    name: str, field: str | None = None, *, persistent: bool = True
) -> Iterator[fo.Dataset]:
    """The dataset of that name. A new one is deleted where the work inside the context fails.

    Args:
        name: the dataset's name.
        field: a new dataset that has a label in this field by then is kept.
        persistent: whether FiftyOne keeps a new one from the beginning.

    Returns:
        a context manager that gives the dataset.

    Raises:
        RunError: no dataset can have that name.
    """
    import fiftyone as fo

    from fiftyone_promerge.fields import has_dataset

    is_new = not has_dataset(name)
    try:
        dataset = fo.Dataset(name, persistent=persistent) if is_new else fo.load_dataset(name)
    except ValueError as error:
        raise RunError(
            f"a FiftyOne dataset cannot be called {name!r}: {error}; give another name"
        ) from error
    try:
        yield dataset
    except BaseException:
        if is_new and not _has_labels(dataset, field):
            dataset.delete()
        raise


def _has_labels(dataset: fo.Dataset, field: str | None) -> bool:
    return field is not None and dataset.has_field(field) and bool(len(dataset.exists(field)))
