import numpy as np
import pytest

from promerge_core import PromergeError


def test_points_and_neighbours_come_from_the_vectors_that_are_there(with_vectors, two_clouds):
    import fiftyone as fo

    import fiftyone_promerge as fop

    dataset = with_vectors(two_clouds)
    dataset.add_sample(fo.Sample("/none.png"))
    for _ in range(2):
        keys = fop.index_masks(dataset, "promerge")
    assert sorted(dataset.list_brain_runs()) == sorted(keys)
    found = dataset.load_brain_results(keys.map)
    labels = dataset.values("promerge.detections.id", unwind=True)
    assert list(found.label_ids) == labels[:40]
    across = np.sort(np.abs(found.points[:25].mean(0) - found.points[25:].mean(0)))[-1]
    assert abs(across - 40) < 2
    patches = dataset.to_patches("promerge")
    alike = patches.sort_by_similarity(labels[30], k=15, brain_key=keys.similarity)
    assert set(alike.values("id")) == set(labels[25:40])


def test_a_run_of_somebody_else_stays(with_vectors, two_clouds):
    import fiftyone.brain as fob

    import fiftyone_promerge as fop

    dataset = with_vectors(two_clouds)
    fob.compute_visualization(
        dataset, points=np.zeros((4, 2)), brain_key="promerge_map", method="manual"
    )
    with pytest.raises(PromergeError, match="there is a brain run 'promerge_map' of other masks"):
        fop.index_masks(dataset, "promerge")
    assert dataset.list_brain_runs() == ["promerge_map"]
