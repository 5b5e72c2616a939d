import numpy as np

from promerge_core.descriptors.scaling import fit_scale


def test_few_values_are_whitened_whatever_their_units_and_an_outlier_is_near():
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (500, 3)) * (1, 100, 0.01)
    vectors[:, 2] += 0.0001 * vectors[:, 1]
    scaled = fit_scale(vectors)(vectors)
    assert scaled.dtype == np.float32
    assert np.allclose(np.cov(scaled.T), np.eye(scaled.shape[1]), atol=1e-3)
    other = fit_scale(vectors * (7, 0.1, 3))(vectors * (7, 0.1, 3))
    assert np.allclose(np.abs(other), np.abs(scaled), atol=1e-3)
    far = fit_scale(vectors)(np.array([[1e9, 0, 0]]))
    assert np.abs(far).max() < 10


def test_values_that_hardly_differ_and_those_of_two_vectors_are_no_failure():
    vectors = np.ones((20, 4))
    vectors[3, 1] = 2
    assert np.isfinite(fit_scale(vectors)(vectors)).all()
    assert np.isfinite(fit_scale(vectors[2:4])(vectors)).all()


def test_many_values_are_reduced_and_their_directions_keep_their_weight():
    random = np.random.default_rng(0)
    vectors = random.normal(0, 1, (400, 100)) * np.linspace(10, 0.1, 100)
    scaled = fit_scale(vectors)(vectors)
    assert scaled.shape == (400, 32)
    variances = scaled.var(axis=0)
    assert abs(variances.mean() - 1) < 1e-3 and variances[0] > 2 * variances[-1]
