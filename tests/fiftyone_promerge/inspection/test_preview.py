"""The masks of one image, before a run."""

from __future__ import annotations

import pytest
from PIL import Image

from promerge_core import MaskCutConfig, ProMergeConfig

SMALL = {"image_size": 64}


@pytest.mark.parametrize(
    ("method", "config"),
    [("promerge", ProMergeConfig(seed_stride=2, **SMALL)), ("maskcut", MaskCutConfig(**SMALL))],
)
def test_a_preview_has_the_masks_that_a_run_makes(database, photos, one_thread, method, config):
    from fiftyone_promerge.inspection.preview import preview
    from promerge_core import load_backbone, open_image
    from promerge_core.registry import METHODS

    made = preview(photos[0], method, "embedded", None, config)
    generator = METHODS[method].load()(load_backbone("embedded"), config)
    (found,) = generator.generate([open_image(photos[0])])
    assert made.masks == len(found) > 0
    assert made.picture.shape[:2] == Image.open(photos[0]).size[::-1]
    assert made.reason is None


def test_a_preview_says_why_there_are_no_masks(database, photos, one_thread):
    from fiftyone_promerge.inspection.preview import preview

    config = ProMergeConfig(seed_stride=2, **SMALL)
    made = preview(photos[3], "promerge", "embedded", None, config)
    assert made.masks == 0 and made.reason
