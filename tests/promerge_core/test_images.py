"""Images of every mode, orientation and size, and files that are none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, features

from promerge_core import ImageError, PreparedImage, open_image, prepare_image
from promerge_core.images import to_rgb

ORIENTATION = 0x0112
GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
RGB_OF_GREY = np.repeat(GREY[..., None], 3, axis=2)


def palette(transparency):
    image = Image.fromarray(COLOUR).quantize(24)
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def rgba():
    return Image.fromarray(np.dstack([COLOUR, GREY]))


MODES = {
    "1": (Image.fromarray(GREY > 100), np.where(RGB_OF_GREY > 100, 255, 0)),
    "L": (Image.fromarray(GREY), RGB_OF_GREY),
    "LA": (Image.merge("LA", [Image.fromarray(GREY)] * 2), RGB_OF_GREY),
    "RGB": (Image.fromarray(COLOUR), COLOUR),
    "RGBA": (rgba(), COLOUR),
    "P": (palette(None), COLOUR),
    "P with a transparent index": (palette(3), COLOUR),
    "P with an alpha for each index": (palette(bytes(range(24))), COLOUR),
    "I;16": (Image.fromarray(GREY.astype(np.uint16) * 257), RGB_OF_GREY),
    "I": (Image.fromarray(GREY.astype(np.int32)), RGB_OF_GREY),
    "F": (Image.fromarray(GREY.astype(np.float32)), RGB_OF_GREY),
}
CONTAINERS = {"1": "png", "LA": "png", "I;16": "png", "I": "tiff", "F": "tiff"}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb(name):
    image, expected = MODES[name]
    assert image.mode == name.split()[0]
    found = to_rgb(image)
    assert found.mode == "RGB"
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", MODES)
def test_every_mode_is_read_from_a_file(tmp_path, name):
    image, expected = MODES[name]
    path = tmp_path / f"image.{CONTAINERS.get(name, 'png')}"
    image.save(path)
    assert np.array_equal(open_image(path), expected)


def test_cmyk_is_read_as_pil_shows_it(tmp_path):
    image = Image.fromarray(COLOUR).resize((64, 48)).convert("CMYK")
    path = tmp_path / "image.jpg"
    image.save(path, quality=95)
    found = np.asarray(open_image(path)).astype(int)
    assert np.abs(found - np.asarray(image.convert("RGB"))).mean() < 8


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_of_either_byte_order_are_scaled_to_eight(tmp_path, order):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    path = tmp_path / "image.pgm" if order == ">u2" else tmp_path / "image.tiff"
    if order == ">u2":
        path.write_bytes(b"P5 6 1 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path)
    assert np.asarray(open_image(path))[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 128, 255], [0, 128, 255]),
        ([3, 4, 200], [3, 4, 200]),
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([1000, 1500, 2000], [0, 128, 255]),
        ([-40, 0, 60], [0, 102, 255]),
        ([0.25, 0.25, 0.25], [0, 0, 0]),
        ([0.0, np.nan, 1.0], [0, 0, 255]),
        ([1000.0, np.nan, 2000.0], [0, 0, 255]),
        ([1000.0, -np.inf, 2000.0], [0, 0, 255]),
        ([np.nan, np.nan, np.nan], [0, 0, 0]),
    ],
)
def test_wide_values_are_stretched_from_their_own_range(values, expected):
    array = np.array([values])
    image = Image.fromarray(array.astype(np.float32 if array.dtype.kind == "f" else np.int32))
    assert image.mode in ("I", "F")
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff", "avif"])
def test_of_several_frames_it_is_the_first(tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"image.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    found = open_image(path)
    assert found.size == (40, 30)
    assert np.abs(np.asarray(found).astype(int) - (255, 0, 0)).max() < 10


# EXIF --------------------------------------------------------------------------------------------

SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_orientation_is_applied(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"image.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(COLOUR).save(path, exif=exif, **options)
    assert np.array_equal(open_image(path), SHOWN[orientation](COLOUR))


@pytest.mark.parametrize("orientation", [5, 6])
def test_orientation_of_a_jpeg_swaps_its_sides(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "image.jpg"
    Image.fromarray(COLOUR).save(path, exif=exif)
    assert open_image(path).size == (4, 6)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_unknown_orientation_changes_nothing(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "image.png"
    Image.fromarray(COLOUR).save(path, exif=exif)
    assert np.array_equal(open_image(path), COLOUR)


# Sizes and arrays --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 65535), (65535, 1), (12000, 700), (3, 2)])
def test_any_sides_become_the_square_and_keep_their_size_in_mind(tmp_path, size):
    path = tmp_path / "image.png"
    Image.new("RGB", size, (10, 200, 30)).save(path)
    prepared = prepare_image(open_image(path), 48)
    assert prepared.pixels.shape == (48, 48, 3)
    assert prepared.pixels.dtype == np.uint8
    assert (prepared.width, prepared.height) == size
    assert (prepared.pixels == (10, 200, 30)).all()


def test_twelve_thousand_squared_is_large_but_no_bomb(tmp_path, recwarn):
    path = tmp_path / "image.png"
    Image.new("1", (12000, 12000)).save(path)
    assert open_image(path).size == (12000, 12000)
    assert not recwarn.list


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    Image.new("1", (300, 300)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match=r"image\.png: too large"):
        open_image(path)


def test_resizing_is_lanczos():
    expected = Image.fromarray(COLOUR).resize((32, 32), Image.Resampling.LANCZOS)
    assert np.array_equal(prepare_image(COLOUR, 32).pixels, expected)


@pytest.mark.parametrize(
    "array",
    [GREY, GREY[..., None], RGB_OF_GREY, np.dstack([RGB_OF_GREY, COLOUR[..., 0]])],
    ids=["H W", "H W 1", "H W 3", "H W 4"],
)
def test_arrays_of_one_three_or_four_channels_are_images(array):
    assert np.array_equal(to_rgb(array), RGB_OF_GREY)


def test_arrays_may_be_views():
    assert np.array_equal(to_rgb(COLOUR[::2, ::-1]), COLOUR[::2, ::-1])
    assert isinstance(prepare_image(COLOUR[:, ::-1], 8), PreparedImage)


@pytest.mark.parametrize(
    "array",
    [
        COLOUR.astype(np.float32),
        COLOUR.astype(np.int64),
        COLOUR > 100,
        COLOUR[None],
        COLOUR[0, 0],
        np.zeros((4, 6, 2), np.uint8),
        np.zeros((4, 6, 5), np.uint8),
        np.zeros((3, 4, 6), np.uint8),
    ],
    ids=["float", "int64", "bool", "batch", "pixel", "2 channels", "5 channels", "channels first"],
)
def test_arrays_of_another_type_or_shape_are_refused_in_words(array):
    with pytest.raises(ImageError, match=rf"uint8 \[H, W\].*got {array.dtype}"):
        to_rgb(array)


@pytest.mark.parametrize("shape", [(0, 6, 3), (4, 0, 3), (0, 0)])
def test_arrays_and_images_without_pixels_are_refused(shape):
    with pytest.raises(ImageError, match="no content"):
        to_rgb(np.zeros(shape, np.uint8))
    with pytest.raises(ImageError, match="no content"):
        to_rgb(Image.new("RGB", shape[:2]))


# Files that are no images ------------------------------------------------------------------------


def whole_image(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8))
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_files_are_refused_with_their_name(tmp_path, suffix, share):
    path = whole_image(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ImageError, match=rf"photo\.{suffix}: "):
        open_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"These are words.\n" * 50, "not an image"), (b"", "not an image")],
    ids=["text", "empty"],
)
def test_files_that_are_no_images_are_refused(tmp_path, content, message):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"photo\.jpg: {message}"):
        open_image(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"none\.jpg: no such file"):
        open_image(tmp_path / "none.jpg")


@pytest.mark.timeout(30)
def test_what_is_no_regular_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jpg"))
        (tmp_path / "device.jpg").symlink_to("/dev/zero")
        for kind, article in (("fifo", "a FIFO"), ("socket", "a socket"), ("device", "a device")):
            with pytest.raises(ImageError) as error:
                open_image(tmp_path / f"{kind}.jpg")
            assert str(error.value) == f"{tmp_path}/{kind}.jpg: {article}, not an image"


def test_a_link_to_an_image_is_that_image_and_a_link_to_itself_is_none(tmp_path):
    Image.fromarray(COLOUR).save(tmp_path / "image.png")
    (tmp_path / "link.png").symlink_to("image.png")
    assert np.array_equal(open_image(tmp_path / "link.png"), COLOUR)
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nothing.png")
    with pytest.raises(ImageError, match=r"loop\.png: "):
        open_image(tmp_path / "loop.png")
    with pytest.raises(ImageError, match=r"gone\.png: no such file"):
        open_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="null"):
        open_image("a\0b.png")


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(COLOUR).save(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(ImageError, match=r"photo\.png: may not be read; check its permissions"):
        open_image(path)


@pytest.mark.parametrize("suffix", ["eps", "jpg"])
def test_postscript_is_never_executed(tmp_path, suffix, monkeypatch):
    ran = tmp_path / "ran"
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\necho 10.0\n[ $# -gt 1 ] && touch {ran}\nexit 0\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ghostscript.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # as in a new process
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(COLOUR).save(path, format="EPS")
    with pytest.raises(ImageError, match=rf"photo\.{suffix}: PostScript is a program, which is ne"):
        open_image(path)
    assert not ran.exists()
    with pytest.raises(OSError), Image.open(path) as image:
        image.load()
    assert ran.exists()


def test_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="broken image"):
        open_image(tmp_path)


@pytest.mark.parametrize(
    "suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif", "avif", "jp2", "tga", "ppm"]
)
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path, suffix):
    try:
        whole = whole_image(tmp_path, suffix).read_bytes()
    except (KeyError, OSError, ValueError):
        pytest.skip(f"this Pillow cannot write {suffix}")
    rng = np.random.default_rng(2)
    path = tmp_path / f"damaged.{suffix}"
    refused = 0
    for _ in range(80):
        content = np.frombuffer(whole, np.uint8)[: rng.integers(1, len(whole) + 1)].copy()
        spots = rng.integers(min(len(content), 200), size=rng.integers(1, 6))
        content[spots] = rng.integers(0, 256, len(spots))
        path.write_bytes(content.tobytes())
        try:
            assert open_image(path).mode == "RGB"
        except ImageError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 0


def test_damaged_exif_does_not_raise_anything_else(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010E] = "a description of the photo"
    path = tmp_path / "photo.jpg"
    Image.fromarray(COLOUR).save(path, exif=exif)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(400):
        content = bytearray(whole)
        for spot in rng.integers(20, 110, size=rng.integers(1, 5)):
            content[spot] = rng.integers(256)
        path.write_bytes(content)
        try:
            assert open_image(path).mode == "RGB"
        except ImageError as error:
            assert str(path) in str(error)


# HEIC and AVIF -----------------------------------------------------------------------------------


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read(tmp_path):
    path = tmp_path / "image.avif"
    Image.new("RGB", (64, 48), (200, 40, 30)).save(path)
    found = open_image(path)
    assert found.size == (64, 48)
    assert np.abs(np.asarray(found).astype(int) - (200, 40, 30)).max() < 10


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("name", ["photo.heic", "photo.jpg"])
def test_heic_is_read_as_it_is_shown(tmp_path, orientation, name):
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra 'heif' is not installed")
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :48] = (255, 255, 255)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    heif = pillow_heif.from_pillow(Image.fromarray(pixels))
    heif.save(tmp_path / name, quality=95, exif=exif.tobytes())
    found = np.asarray(open_image(tmp_path / name)).astype(int)
    expected = SHOWN[orientation](pixels)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 5


WITHOUT = """
import sys
sys.modules["pillow_heif"] = None
from promerge_core import ImageError, open_image
from PIL import features
for brand in (b"heic", b"mif1", b"avif", b"isom"):
    if brand == b"avif":  # as in a Pillow that was built without it
        features.check = lambda name: False
    content = b"\\0\\0\\0\\x1cftyp" + brand + bytes(100)
    for arguments in (("photo.heic", content), ("photo.heic",)):
        with open("photo.heic", "wb") as file:
            file.write(content)
        try:
            open_image(*arguments)
        except ImageError as error:
            print(error)
"""


def test_without_the_extra_its_name_is_said(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    needed = "HEIC and AVIF need another package: pip install 'fiftyone-promerge[heif]'"
    reasons = [needed] * 6 + ["not an image"] * 2
    assert done.stdout.splitlines() == [f"photo.heic: {reason}" for reason in reasons]
