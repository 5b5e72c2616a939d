"""What a failure of FiftyOne's database server means for a person."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from pymongo.errors import PyMongoError

from promerge_core import PromergeError

# What FiftyOne says where a person took away what a run works on.
_DELETED = re.compile(r"Dataset '.*' is deleted$")
_NO_SAMPLE = re.compile(r"Error loading field \w+ assigned to key \w+: list index out of range")

_NO_SPACE = ("No space left on device", "OutOfDiskSpace")


class DatabaseError(PromergeError):
    """The database server failed; the message says why, and that the work can continue."""


@contextlib.contextmanager
def explained_failures() -> Iterator[None]:
    """Inside, a failure of the database server becomes one sentence, and a deleted dataset too.

    Returns:
        a context manager.

    Raises:
        DatabaseError: the database server failed, is gone, or has no space left, or somebody
            deleted the dataset or its samples.
    """
    try:
        yield
    except Exception as error:
        sentence = database_sentence(error)
        if sentence is None:
            raise
        raise DatabaseError(sentence) from error


def database_sentence(error: BaseException) -> str | None:
    """What a person is told of a failure of the database server, or of a dataset that is gone.

    FiftyOne turns some of them into a ValueError, and what is tried after one fails as well, so
    the errors that led to an error are looked at too.

    Args:
        error: any error.

    Returns:
        one sentence, or None where it was another failure.
    """
    if isinstance(error, PromergeError):
        return None
    deleted = _deleted_sentence(error)
    if deleted is not None:
        return deleted
    texts = [str(one) for one in _chain(error) if isinstance(one, PyMongoError)]
    if not texts:
        return None
    if any(sign in text for text in texts for sign in _NO_SPACE):
        return (
            "the disk of the database server is full; make room on it, and start the server again "
            "if it has ended: what was done is kept, and the same command continues from there"
        )
    why = texts[0].split(" (configured")[0].split(", full error")[0]
    return (
        f"the database server failed or is gone: {why}; see that it runs and that its disk has "
        f"space: what was done is kept, and the same command continues from there"
    )


def _deleted_sentence(error: BaseException) -> str | None:
    """What a person is told where a dataset or samples of it were deleted during the work."""
    texts = [str(one) for one in _chain(error) if isinstance(one, ValueError)]
    for text in texts:
        if _DELETED.match(text):
            return f"{text.replace('Dataset', 'the dataset', 1)}: it was there when the work began"
        if _NO_SAMPLE.match(text):
            return (
                "samples were deleted from the dataset while the run worked: what was done is "
                "kept, and the same command does the others"
            )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
