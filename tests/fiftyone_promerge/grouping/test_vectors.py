import numpy as np
import pytest

from promerge_core import PromergeError


def read(dataset, name="embedding"):
    from fiftyone_promerge.grouping.vectors import vector_batches

    return list(vector_batches(dataset, "promerge", name, ["label"]))


def test_masks_without_a_vector_are_left_out(with_vectors, two_clouds):
    dataset = with_vectors(two_clouds)
    sample = dataset.first()
    sample.promerge.detections[3]["embedding"] = None
    sample.save()
    (batch,) = read(dataset)
    assert np.allclose(batch.vectors, np.delete(two_clouds, 3, axis=0), atol=1e-5)
    assert len(batch.ids) == 39 and batch.values == {"label": ["object"] * 39}


def test_one_that_is_not_finite_is_a_sentence(with_vectors, two_clouds):
    two_clouds[7, 2] = np.nan
    with pytest.raises(PromergeError, match="1 of the vectors in 'embedding' are not finite"):
        read(with_vectors(two_clouds))


def test_vectors_of_different_lengths_are_a_sentence(with_vectors, two_clouds):
    dataset = with_vectors(two_clouds)
    sample = dataset.last()
    sample.promerge.detections[0]["embedding"] = np.ones(3)
    sample.save()
    with pytest.raises(PromergeError, match="have different lengths"):
        read(dataset)


@pytest.mark.parametrize(
    ("name", "message"),
    [("label", "'label' .* does not hold vectors"), ("nothing", "no mask of 'promerge' has an")],
)
def test_another_attribute_is_a_sentence(with_vectors, name, message):
    with pytest.raises(PromergeError, match=message):
        read(with_vectors(np.eye(4)), name)


def test_vectors_of_all_batches_are_drawn_alike():
    from fiftyone_promerge.grouping.vectors import Drawing

    drawing = Drawing(1000)
    for at in range(0, 10_000, 700):
        drawing.add(np.arange(at, min(at + 700, 10_000))[:, None])
    drawn = drawing.drawn[:, 0]
    assert len(set(drawn)) == 1000 and (np.diff(drawn) > 0).all()
    assert (abs(np.histogram(drawn, 4, (0, 10_000))[0] - 250) < 60).all()
