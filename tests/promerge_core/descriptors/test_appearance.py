import numpy as np

from promerge_core import describe_masks, load_backbone


def described(colour, side=40, at=20):
    image = np.full((96, 128, 3), 200, np.uint8)
    mask = np.zeros((96, 128), bool)
    mask[at : at + side, at : at + side] = True
    image[mask] = colour
    return describe_masks(load_backbone("embedded", device="cpu"), image, mask[None])[0]


def test_a_mask_elsewhere_has_the_same_vector_and_another_colour_or_size_has_not():
    red = described((200, 30, 30))
    assert np.abs(described((200, 30, 30), at=45) - red).max() < 0.3
    assert np.linalg.norm(described((30, 30, 200)) - red) > 2
    # A quarter of the side is a sixteenth of the area, and a factor of 4 is a unit.
    assert 1.9 < (red - described((200, 30, 30), side=10))[6] < 2.1


def test_a_mask_of_one_pixel_and_one_of_a_whole_black_image_have_finite_vectors():
    backbone = load_backbone("embedded", device="cpu")
    one = np.zeros((600, 500), bool)
    one[599, 0] = True
    masks = np.stack([one, np.ones_like(one)])
    vectors = describe_masks(backbone, np.zeros((600, 500, 3), np.uint8), masks)
    assert vectors.dtype == np.float32 and vectors.shape == (2, 7) and np.isfinite(vectors).all()


def test_no_masks_have_no_vectors():
    backbone = load_backbone("embedded", device="cpu")
    nothing = np.zeros((0, 20, 20), bool)
    assert describe_masks(backbone, np.zeros((20, 20, 3), np.uint8), nothing).shape == (0, 7)
