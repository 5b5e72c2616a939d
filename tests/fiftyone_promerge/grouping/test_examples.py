import numpy as np
import pytest

from promerge_core import PromergeError


@pytest.fixture
def grouped(with_vectors, two_clouds):
    import fiftyone_promerge as fop

    dataset = with_vectors(two_clouds)
    fop.group_masks(dataset, "promerge")
    return dataset


def test_each_group_has_its_surest_masks_and_then_its_least_sure_ones(grouped):
    from fiftyone_promerge.grouping.examples import group_rows

    rows = group_rows(grouped, "promerge", examples=4)
    assert [(row.group, row.masks, row.name) for row in rows] == [(0, 25, None), (1, 15, None)]
    path = "promerge.detections"
    ids, sure = grouped.values([f"{path}.id", f"{path}.group_confidence"], unwind=True)
    by_id = dict(zip(ids, sure, strict=True))
    assert [by_id[one] for _, one in rows[0].typical] == sorted(sure[:25])[:-5:-1]
    assert [by_id[one] for _, one in rows[0].doubtful] == sorted(sure[:25])[:4]


def test_a_small_group_shows_no_mask_twice(grouped):
    from fiftyone_promerge.grouping.examples import group_rows

    for row in group_rows(grouped, "promerge", examples=20):
        assert len({*row.typical, *row.doubtful}) == row.masks


def test_the_name_of_a_group_is_what_most_of_its_masks_are_called(grouped):
    import fiftyone_promerge as fop
    from fiftyone_promerge.grouping.examples import group_rows

    fop.name_groups(grouped, "promerge", {0: "cell", 1: "-"})
    assert [row.name for row in group_rows(grouped, "promerge")] == ["cell", "-"]


def test_masks_without_groups_are_a_sentence(with_vectors):
    from fiftyone_promerge.grouping.examples import group_rows

    with pytest.raises(PromergeError, match="no mask of 'promerge' has a group; use promerge"):
        group_rows(with_vectors(np.eye(4)), "promerge")


def test_a_mask_is_cut_out_with_paler_surroundings_also_at_the_edge(make_dataset, tmp_path, broken):
    import fiftyone as fo
    from PIL import Image

    from fiftyone_promerge.grouping.examples import cut_out

    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:10, :10] = (200, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    box = [0, 0, 10 / 60, 10 / 40]
    dataset = make_dataset()
    for path in (str(tmp_path / "a.png"), broken):
        mask = fo.Detection(bounding_box=box, mask=np.ones((10, 10), bool))
        dataset.add_sample(fo.Sample(path, found=fo.Detections(detections=[mask])))
    ids = [(one.id, one.found.detections[0].id) for one in dataset]
    pictures = cut_out(dataset, "found", ids, 60)
    assert list(pictures) == [ids[0][1]]
    picture = pictures[ids[0][1]]
    assert picture.shape == (60, 60, 3) and picture.dtype == np.uint8
    assert np.abs(picture[30, 30].astype(int) - (200, 0, 0)).max() <= 3
    assert (picture[2, 2] == 255).all()  # outside the image
    assert np.abs(picture[56, 56].astype(int) - 153).max() <= 3  # black, paler
