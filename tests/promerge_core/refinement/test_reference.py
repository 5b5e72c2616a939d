"""pydensecrf against the official results, and the batched CRF against pydensecrf."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

from promerge_core import MissingExtraError, ProMergeConfig, refine

pytest.importorskip("pydensecrf", reason="the extra 'pydensecrf' is not installed")


def test_pydensecrf_refines_reference_masks_as_officially(vector):
    merged = torch.from_numpy(vector["merged"][:1])
    refined, accepted = refine(vector["image_480"], merged, backend="pydensecrf")
    assert np.array_equal(refined, vector["refined_480"][:1])
    assert accepted.tolist() == vector["accepted"][:1].tolist()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"crf_iterations": 1},
        {"crf_gaussian_sxy": 1.0, "crf_gaussian_compat": 3.0},
        {"crf_bilateral_sxy": 20.0, "crf_bilateral_srgb": 13.0, "crf_bilateral_compat": 4.0},
        {"crf_bilateral_compat": 0.0},
        {"crf_gaussian_compat": 0.0},
    ],
    ids=str,
)
def test_both_backends_agree(photo, coarse, parameters):
    config = ProMergeConfig(**parameters)
    batched, accepted = refine(photo, coarse, config)
    reference, expected = refine(photo, coarse, config, backend="pydensecrf")
    assert (batched != reference).sum() <= 1e-4 * batched.numel()
    assert accepted.tolist() == expected.tolist()
    upsampled = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert not torch.equal(batched, upsampled)


def test_grid_and_image_need_not_be_square(photo, coarse):
    refined, _ = refine(photo[:32], coarse[:3, :8])
    reference, _ = refine(photo[:32], coarse[:3, :8], backend="pydensecrf")
    assert refined.shape == (3, 32, 64)
    assert (refined != reference).sum() <= 2


def test_image_may_be_a_tensor_of_any_layout(photo, coarse):
    expected, _ = refine(photo, coarse[:2])
    layouts = (
        torch.from_numpy(photo),
        torch.from_numpy(photo.transpose(2, 0, 1).copy()).permute(1, 2, 0),
        photo[:, ::-1].copy()[:, ::-1].copy(),
    )
    for layout in layouts:
        assert torch.equal(refine(layout, coarse[:2])[0], expected)
    turned = layouts[1]
    assert torch.equal(refine(turned, coarse[:2], backend="pydensecrf")[0], expected)


def test_missing_pydensecrf_names_the_extra(photo, coarse, monkeypatch):
    def find(name, *args):
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return real(name, *args)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", find)
    with pytest.raises(MissingExtraError, match=r"fiftyone-promerge\[pydensecrf\]"):
        refine(photo, coarse, backend="pydensecrf")
