"""Images of any mode, size and orientation -> the square RGB input of the backbone."""

from __future__ import annotations

import functools
import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from .errors import PromergeError
from .files import irregular_kind

HEIF_SUFFIXES = {".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"}
"""Of files that not every Pillow reads; the extra `heif` installs what does."""

MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Pillow refuses an image of more, as it could fill the memory from a small file."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")


class ImageError(PromergeError):
    """An image cannot be read or used; the message says which and why."""


class PreparedImage(NamedTuple):
    """An image ready for the backbone, and the size its masks get.

    Attributes:
        pixels: uint8 array [S, S, 3], RGB.
        width: width of the image as shown, in pixels.
        height: height of the image as shown, in pixels.
    """

    pixels: np.ndarray
    width: int
    height: int


class SkippedImage(NamedTuple):
    """Stands in a batch for an image that cannot be read, so that the others are not lost.

    Attributes:
        path: the image's file.
        why: one sentence for a person.
    """

    path: str
    why: str


def open_image(path: str | Path, content: bytes | None = None) -> Image.Image:
    """Reads an image file as it is shown: EXIF orientation applied, 8-bit RGB.

    Of several frames it is the first. PostScript, being a program, is not an image.

    Args:
        path: the file.
        content: its bytes, where they have been read already.

    Returns:
        the image in mode RGB.

    Raises:
        ImageError: the file is missing, broken or no image, or no regular file.

    Examples:
        >>> from PIL import Image
        >>> from promerge_core import open_image
        >>> Image.new("I;16", (640, 480)).save("photo.png")
        >>> image = open_image("photo.png")
        >>> image.mode, image.size
        ('RGB', (640, 480))
    """
    kind = _kind(path) if content is None else None
    if kind not in (None, "a folder"):
        raise ImageError(f"{path}: {kind}, not an image")
    try:
        # Photos of 12000 x 12000 pixels are large, not malicious; PIL still refuses twice that.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = path if content is None else io.BytesIO(content)
            with Image.open(file, formats=_formats()) as image:
                return to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except PermissionError as error:
        raise ImageError(f"{path}: may not be read; check its permissions") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: {_why_unidentified(path, content)}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: too large: {error}") from error
    except Exception as error:
        # PIL's decoders raise errors of any type when a file is damaged.
        raise ImageError(f"{path}: broken image: {error}") from error


def _kind(path: str | Path) -> str | None:
    """What stands at a path in place of a regular file; opening a FIFO would wait for ever."""
    try:
        return irregular_kind(Path(path))
    except (OSError, ValueError):
        return None  # PIL meets the same when it opens the path, and its error is reported


def _formats() -> list[str]:
    """The formats that are read: all but PostScript, which Pillow has Ghostscript execute."""
    Image.preinit()
    Image.init()
    _reads_heif()
    return [name for name in Image.ID if name != "EPS"]


@functools.cache
def _reads_heif() -> bool:
    """Whether HEIC can be read, as Pillow does where pillow-heif is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _why_unidentified(path: str | Path, content: bytes | None) -> str:
    if content is None:
        with Path(path).open("rb") as file:
            content = file.read(12)
    if content.startswith(_POSTSCRIPT):
        return "PostScript is a program, which is never executed; save it as PNG"
    brand = content[8:12] if content[4:8] == b"ftyp" else b""
    lacks_heif = brand in _HEIF_BRANDS and not _reads_heif()
    if lacks_heif or (brand in _AVIF_BRANDS and not features.check("avif")):
        return "HEIC and AVIF need another package: pip install 'fiftyone-promerge[heif]'"
    return "not an image"


def to_rgb(image: Image.Image | np.ndarray) -> Image.Image:
    """Converts an image of any mode to 8-bit RGB.

    16-bit values are scaled by 1/257; 32-bit integers and floats from their own range.

    Args:
        image: a PIL image, or an array uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].

    Returns:
        the image in mode RGB; an alpha channel is dropped.

    Raises:
        ImageError: the array has another type or shape, or a side of zero.
    """
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    if min(image.size) == 0:
        raise ImageError(f"an image of {image.width} x {image.height} pixels has no content")
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float32) / 257
        image = Image.fromarray(values.round().astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_stretch(np.asarray(image)))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _from_array(array: np.ndarray) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise ImageError(
            f"an image array must be uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]; "
            f"got {array.dtype} {array.shape}"
        )
    if 0 in array.shape:
        raise ImageError(f"an image array of shape {array.shape} has no content")
    return Image.fromarray(array[..., 0] if array.ndim == 3 and channels == 1 else array)


def _stretch(values: np.ndarray) -> np.ndarray:
    """Finite values from their own range to 0..255, others to 0; values in 0..255 are kept."""
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255 or high <= 1:
        values = (values - low) * (255 / max(high - low, 1e-12))
    return values.round().astype(np.uint8)


def prepare_image(image: Image.Image | np.ndarray, size: int) -> PreparedImage:
    """Resizes an image to a square, by Lanczos and without keeping its aspect ratio.

    Args:
        image: as `to_rgb` takes it.
        size: side S of the square in pixels.

    Returns:
        the square, and the image's own size.

    Raises:
        ImageError: see `to_rgb`.

    Examples:
        >>> from promerge_core import prepare_image
        >>> from skimage.data import coffee
        >>> prepared = prepare_image(coffee(), 480)
        >>> prepared.pixels.shape, prepared.width, prepared.height
        ((480, 480, 3), 600, 400)
    """
    rgb = to_rgb(image)
    square = rgb.resize((size, size), Image.Resampling.LANCZOS)
    return PreparedImage(np.array(square), rgb.width, rgb.height)
