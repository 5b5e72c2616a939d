import numpy as np
import pytest

from promerge_core import describe_masks, load_backbone

TEXTURE, SIZE, SOLIDITY, CIRCULARITY, ELONGATION = range(6, 11)


def described(image, mask):
    return describe_masks(load_backbone("embedded", device="cpu"), image, mask[None])[0]


def square(colour, side=40, at=20):
    image = np.full((96, 128, 3), 200, np.uint8)
    mask = np.zeros((96, 128), bool)
    mask[at : at + side, at : at + side] = True
    image[mask] = colour
    return described(image, mask)


def shape(mask):
    return described(np.zeros((*mask.shape, 3), np.uint8), mask)


def test_a_mask_elsewhere_has_the_same_vector_and_another_colour_or_size_has_not():
    red = square((200, 30, 30))
    assert np.abs(square((200, 30, 30), at=45) - red).max() < 0.3
    assert np.linalg.norm(square((30, 30, 200)) - red) > 2
    # A quarter of the side is a sixteenth of the area, and a factor of 4 is a unit.
    assert 1.9 < (red - square((200, 30, 30), side=10))[SIZE] < 2.1


@pytest.mark.parametrize("turned", [np.rot90, np.fliplr])
def test_a_turned_image_has_the_same_vector(turned):
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (96, 96, 3), np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[10:30, 10:70] = mask[10:60, 10:24] = True
    same = described(np.ascontiguousarray(turned(image)), np.ascontiguousarray(turned(mask)))
    assert np.abs(same - described(image, mask)).max() < 0.05


def test_a_disc_is_compact_a_bar_is_long_and_a_cross_leaves_its_hull_empty():
    rows, columns = np.mgrid[:100, :100] - 50
    disc = shape(np.hypot(rows, columns) < 40)
    bar = shape((np.abs(rows) < 5) & (np.abs(columns) < 40))
    cross = shape((np.abs(rows) < 8) ^ (np.abs(columns) < 8))
    assert abs(disc[SOLIDITY] - 4) < 0.1 and abs(disc[CIRCULARITY] - 4) < 0.2
    assert abs(disc[ELONGATION]) < 0.05 and abs(bar[ELONGATION] - np.log2(79 / 9)) < 0.1
    assert bar[SOLIDITY] > 3.9 and bar[CIRCULARITY] < 2.2
    assert cross[SOLIDITY] < 2.5


def test_stripes_have_more_texture_than_a_plain_surface_and_twice_the_contrast_is_a_unit():
    mask = np.ones((480, 480), bool)

    def striped(contrast):
        image = np.full((480, 480, 3), 120, np.uint8)
        image[:, (np.arange(480) // 8) % 2 > 0] += contrast
        return described(image, mask)[TEXTURE]

    assert striped(0) < -3
    assert abs(striped(40) - striped(20) - 1) < 0.1


def test_a_mask_of_one_pixel_and_one_of_a_whole_black_image_have_finite_vectors():
    backbone = load_backbone("embedded", device="cpu")
    one, line = np.zeros((600, 500), bool), np.zeros((600, 500), bool)
    one[599, 0] = line[3] = True
    masks = np.stack([one, line, np.ones_like(one)])
    vectors = describe_masks(backbone, np.zeros((600, 500, 3), np.uint8), masks)
    assert vectors.dtype == np.float32 and vectors.shape == (3, 11) and np.isfinite(vectors).all()


def test_no_masks_have_no_vectors():
    backbone = load_backbone("embedded", device="cpu")
    nothing = np.zeros((0, 20, 20), bool)
    assert describe_masks(backbone, np.zeros((20, 20, 3), np.uint8), nothing).shape == (0, 11)
