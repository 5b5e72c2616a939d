"""The errors a user can cause; every message is one sentence that says what to do."""


class PromergeError(ValueError):
    """Bad input. The message says what was wrong, where, and what to do."""


class MissingExtraError(PromergeError, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""


class CocoError(PromergeError):
    """A COCO file, or what should go into one, has something in it that is not COCO."""
