import numpy as np
import pytest

from promerge_core import PromergeError, describe_masks, load_backbone
from promerge_core.descriptors.describe import embedding_dim


@pytest.mark.parametrize("mask", [np.ones((1, 10, 10), bool), np.zeros((1, 20, 30), bool)])
def test_a_mask_of_another_size_or_without_pixels_is_refused_in_a_sentence(mask):
    with pytest.raises(PromergeError, match="a mask must have the image's size"):
        describe_masks(load_backbone("embedded"), np.zeros((20, 30, 3), np.uint8), mask)


def test_the_size_of_a_vector_is_known_without_images():
    assert embedding_dim(load_backbone("embedded")) == 11
