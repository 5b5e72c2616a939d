"""Annotations of any kind: each becomes a label of its image, or is refused in one sentence.

They are tried in a process of their own with a memory limit: pycocotools, which draws them, is C.
"""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2)
import math
import numpy as np
from hypothesis import given, settings, strategies as st
from pycocotools import mask as coco_mask
from fiftyone_promerge.coco.annotations import ImageSize
from fiftyone_promerge.coco.importing import annotation_to_detection
from promerge_core.errors import CocoError

SIZE = ImageSize(23, 37)
RLE = coco_mask.encode(np.asfortranarray(np.eye(37, 23, dtype=np.uint8)))
RLE["counts"] = RLE["counts"].decode()

numbers = st.one_of(
    st.integers(-5, 60), st.floats(-5, 60), st.integers(), st.floats(),
    st.sampled_from([10**400, 2**63, math.nan, math.inf, 1e9, True, None, "7"]),
)
rubbish = st.recursive(
    st.one_of(numbers, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
points = st.one_of(st.lists(st.floats(-3, 40), max_size=9), st.lists(numbers, max_size=9))
polygons = st.lists(points, max_size=3)
texts = st.text(st.characters(min_codepoint=40, max_codepoint=115), max_size=30)
counts = st.one_of(
    texts, st.just(RLE["counts"]), st.lists(numbers, max_size=6),
    st.text(max_size=9), st.binary(max_size=9), st.just([400, 51, 400]),
)
sizes = st.sampled_from([[37, 23], [23, 37], [0, 0], [-37, 23], [37], [2**31, 2**31], None, "37"])
rles = st.fixed_dictionaries({}, optional={"size": sizes, "counts": counts})
annotations = st.fixed_dictionaries(
    {},
    optional={
        "segmentation": st.one_of(polygons, rles, rubbish),
        "bbox": st.one_of(st.lists(numbers, max_size=5), rubbish),
        "score": numbers,
        "area": numbers,
        "iscrowd": st.one_of(st.sampled_from([0, 1]), numbers),
        "id": st.one_of(numbers, rubbish),
    },
)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(annotations)
def check(annotation):
    try:
        label = annotation_to_detection(annotation, SIZE, "annotation 1")
    except CocoError as error:
        assert str(error).startswith("annotation 1") and "\\n" not in str(error), error
        return
    assert all(map(math.isfinite, label.bounding_box))
    assert label.mask is None or label.mask.dtype == bool
    assert label.confidence is None or math.isfinite(label.confidence)


check()
print("done")
"""


def test_any_annotation_is_a_label_or_one_sentence(database):
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.stdout.endswith("done\n"), child.stderr[-4000:]
