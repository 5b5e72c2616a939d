"""A trained detector in the place of a generator of masks."""

from __future__ import annotations

import pickle

import numpy as np
import torch
from PIL import Image

from fiftyone_promerge.training import DetectorGenerator, load


def test_it_finds_what_the_detector_finds(trained, records):
    generator = DetectorGenerator(load(trained[0], torch.device("cpu")))
    # Processes that read images get the preparation, never the detector.
    prepare = pickle.loads(pickle.dumps(generator.preparation))
    images = [prepare(Image.open(record.path).convert("P")) for record in records[:2]]
    assert all(image.shape == (64, 64, 3) and image.dtype == np.uint8 for image in images)
    found = generator.generate_prepared(images)
    assert [list(masks) for masks in found] == generator.detector.predict(images)
    assert [(masks.width, masks.height, masks.reason) for masks in found] == [(64, 64, None)] * 2
    assert generator.timer.images == 2
    assert [*generator.timer.seconds] == ["predict"]
    assert generator.generate_prepared([]) == []
