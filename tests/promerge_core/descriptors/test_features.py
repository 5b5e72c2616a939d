import numpy as np
import torch

from promerge_core.descriptors.features import cover, describe_by_features


def test_a_vector_is_the_mean_of_the_features_weighted_by_what_the_mask_covers():
    grid = torch.arange(8.0).view(1, 2, 2, 2)
    mask = np.zeros((8, 8), bool)
    mask[:4, :6] = True  # all of the first patch, half of the second
    (found,) = describe_by_features(None, [], [[mask]], grid)
    assert np.allclose(found, [[(0 + 0.5 * 1) / 1.5, (4 + 0.5 * 5) / 1.5]])


def test_a_mask_smaller_than_a_patch_has_the_patch_under_it():
    grid = torch.arange(4.0).view(1, 1, 2, 2)
    mask = np.zeros((100, 100), bool)
    mask[80, 30] = True
    (found,) = describe_by_features(None, [], [[mask]], grid)
    assert found.tolist() == [[2.0]]


def test_every_pixel_of_an_image_smaller_than_the_grid_covers_something():
    for row in range(7):
        mask = np.zeros((7, 7), bool)
        mask[row, row] = True
        assert cover(mask, 60, 60).any()
