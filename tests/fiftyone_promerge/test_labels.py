"""Mask -> fo.Detection -> mask is the identity, in memory, in the database and on disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from promerge_core.masks.mask import masks_from_arrays

SIDES = [1, 2, 3, 7, 33, 240, 477, 480, 640, 1023]
LARGE = [(4096, 4096), (4096, 3), (5, 12000), (2731, 4095)]


@pytest.fixture(scope="module")
def labels(database):
    """The module under test; FiftyOne may be imported only once the database runs."""
    import fiftyone_promerge.labels

    return fiftyone_promerge.labels


@pytest.fixture(scope="module")
def fo(database):
    import fiftyone

    return fiftyone


def draw(rng, height, width):
    """A ragged mask in a random box of an image."""
    top, bottom = np.sort(rng.integers(height, size=2))
    left, right = np.sort(rng.integers(width, size=2))
    mask = np.zeros((height, width), bool)
    inside = mask[top : bottom + 1, left : right + 1]
    inside[rng.random(inside.shape) < rng.choice([0.1, 0.5, 1.0])] = True
    inside[rng.integers(len(inside)), rng.integers(inside.shape[1])] = True
    return mask


def special(height, width):
    """One pixel in each corner and in the middle, the whole image, its border."""
    spots = [(0, 0), (0, -1), (-1, 0), (-1, -1), (height // 2, width // 2)]
    masks = np.zeros((len(spots) + 2, height, width), bool)
    for mask, spot in zip(masks, spots, strict=False):
        mask[spot] = True
    masks[-2] = True
    masks[-1, [0, -1]] = masks[-1, :, [0, -1]] = True
    return masks


def to_masks(arrays):
    facts = [{"votes": 2.0, "refine_iou": 0.75}] * len(arrays)
    return masks_from_arrays(np.asarray(arrays), [0.5] * len(arrays), facts)


# Round trips -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_random_masks_come_back(labels, seed):
    rng = np.random.default_rng(seed)
    height, width = rng.choice(SIDES, 2) + rng.integers(0, 3, 2)
    arrays = np.array([draw(rng, height, width) for _ in range(12)])
    for array, mask in zip(arrays, to_masks(arrays), strict=True):
        detection = labels.mask_to_detection(mask)
        assert np.array_equal(labels.detection_to_mask(detection, width, height), array)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (33, 47), *LARGE[1:3]])
def test_special_masks_come_back(labels, height, width):
    arrays = special(height, width)
    for array, mask in zip(arrays, to_masks(arrays), strict=True):
        detection = labels.mask_to_detection(mask)
        assert np.array_equal(labels.detection_to_mask(detection, width, height), array)


@pytest.mark.parametrize(("height", "width"), LARGE)
def test_masks_of_large_images_come_back(labels, height, width):
    rng = np.random.default_rng(0)
    arrays = np.array([draw(rng, height, width) for _ in range(3)])
    for array, mask in zip(arrays, to_masks(arrays), strict=True):
        detection = labels.mask_to_detection(mask)
        assert np.array_equal(labels.detection_to_mask(detection, width, height), array)


def test_masks_come_back_from_the_database_and_from_disk(labels, fo, make_dataset, tmp_path):
    rng = np.random.default_rng(1)
    dataset = make_dataset()
    expected = []
    for number in range(25):
        height, width = (int(side) for side in rng.choice(SIDES, 2))
        arrays = np.array([*special(height, width), *(draw(rng, height, width) for _ in range(5))])
        stored = labels.masks_to_detections(to_masks(arrays))
        written = stored.copy()
        for index, detection in enumerate(written.detections):
            detection.export_mask(str(tmp_path / f"{number}-{index}.png"), update=True)
            assert detection.mask is None
        sample = fo.Sample(filepath=f"{number}.png", stored=stored, written=written)
        dataset.add_sample(sample)
        expected.append((height, width, arrays))
    for field in ("stored", "written"):
        found = dataset.values(f"{field}.detections")
        for detections, (height, width, arrays) in zip(found, expected, strict=True):
            for detection, array in zip(detections, arrays, strict=True):
                mask = labels.detection_to_mask(detection, width, height)
                assert np.array_equal(mask, array)


def test_a_detection_carries_score_facts_and_a_box_inside_the_image(labels):
    array = np.zeros((40, 30), bool)
    array[10:20, 3:9] = True
    (mask,) = to_masks(array[None])
    detection = labels.mask_to_detection(mask)
    assert detection.label == "object"
    assert detection.confidence == 0.5
    assert (detection.votes, detection.refine_iou) == (2.0, 0.75)
    assert detection.bounding_box == pytest.approx([3 / 30, 10 / 40, 6 / 30, 10 / 40])
    assert detection.mask.shape == (10, 6)
    assert detection.mask.dtype == bool
    assert labels.mask_to_detection(dataclasses.replace(mask, label="thing")).label == "thing"


def test_an_image_without_masks_says_why(labels):
    label = labels.masks_to_detections([], "no_background")
    assert (label.detections, label.reason) == ([], "no_background")


# Detections made elsewhere -----------------------------------------------------------------------


def test_a_detection_without_a_mask_is_its_box(labels, fo):
    detection = fo.Detection(label="cat", bounding_box=[0.1, 0.2, 0.5, 0.25])
    mask = labels.detection_to_mask(detection, 20, 40)
    expected = np.zeros((40, 20), bool)
    expected[8:18, 2:12] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("x", [-2.0, -0.6, -0.25, 0.0, 0.75, 1.0, 1.5])
@pytest.mark.parametrize("y", [-2.0, -0.6, -0.25, 0.0, 0.75, 1.0, 1.5])
@pytest.mark.parametrize("has_mask", [True, False])
def test_what_lies_outside_the_image_is_cut_off(labels, fo, x, y, has_mask):
    inside = (
        np.random.default_rng(0).random((20, 10)) < 0.5 if has_mask else np.ones((20, 10), bool)
    )
    detection = fo.Detection(bounding_box=[x, y, 0.5, 0.5])
    if has_mask:
        detection.mask = inside
    expected = np.zeros((200, 100), bool)
    top, left = round(y * 40) + 80, round(x * 20) + 40
    expected[top : top + 20, left : left + 10] = inside
    mask = labels.detection_to_mask(detection, 20, 40)
    assert np.array_equal(mask, expected[80:120, 40:60])


def test_a_mask_of_another_size_is_fitted_into_its_box(labels, fo):
    checks = np.array([[True, False], [False, True]])
    detection = fo.Detection(bounding_box=[0.25, 0.5, 0.5, 0.5], mask=checks)
    mask = labels.detection_to_mask(detection, 40, 40)
    expected = np.zeros((40, 40), bool)
    expected[20:30, 10:20] = expected[30:40, 20:30] = True
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("scale", [1, 255])
def test_masks_of_numbers_or_of_channels_are_read(labels, fo, scale):
    inside = np.random.default_rng(0).random((10, 10)) < 0.5
    numbers = inside.astype(np.uint8) * scale
    expected = np.zeros((20, 20), bool)
    expected[5:15, 5:15] = inside
    for mask in (numbers, np.repeat(numbers[..., None], 3, axis=2)):
        detection = fo.Detection(bounding_box=[0.25, 0.25, 0.5, 0.5], mask=mask)
        assert np.array_equal(labels.detection_to_mask(detection, 20, 20), expected)


@pytest.mark.parametrize("content", [None, b"", b"words"])
def test_a_mask_file_that_cannot_be_read_is_named(labels, fo, tmp_path, content):
    path = tmp_path / "mask.png"
    if content is not None:
        path.write_bytes(content)
    detection = fo.Detection(bounding_box=[0, 0, 1, 1], mask_path=str(path))
    with pytest.raises(ValueError, match=r"mask\.png cannot be read"):
        labels.detection_to_mask(detection, 20, 20)


# Patches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_masks_of_a_patch_lie_where_the_patch_does(labels, seed):
    rng = np.random.default_rng(seed)
    height, width = rng.choice([1, 33, 477, 640, 1023, 4096], 2)
    (top, bottom), (left, right) = (np.sort(rng.integers(side, size=2)) for side in (height, width))
    bottom, right = bottom + 1, right + 1
    arrays = np.array([draw(rng, bottom - top, right - left) for _ in range(5)])
    label = labels.masks_to_detections(to_masks(arrays))
    box = (left / width, top / height, (right - left) / width, (bottom - top) / height)
    labels.move_into_box(label, box)
    for detection, array in zip(label.detections, arrays, strict=True):
        expected = np.zeros((height, width), bool)
        expected[top:bottom, left:right] = array
        assert np.array_equal(labels.detection_to_mask(detection, width, height), expected)


def test_resizing_a_mask_is_nearest_neighbour(labels, fo):
    small = np.random.default_rng(3).random((6, 5)) < 0.5
    detection = fo.Detection(bounding_box=[0, 0, 1, 1], mask=small)
    mask = labels.detection_to_mask(detection, 35, 27)
    expected = Image.fromarray(small).resize((35, 27), Image.Resampling.NEAREST)
    assert np.array_equal(mask, np.asarray(expected))
