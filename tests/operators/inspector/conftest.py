"""Fixtures of the inspector: one image with a label, and the panel as JSON."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from skimage import data


@pytest.fixture
def dataset(make_dataset, tmp_path):
    import fiftyone as fo

    path = tmp_path / "coffee.png"
    Image.fromarray(data.coffee()).resize((300, 200)).save(path)
    dataset = make_dataset()
    box = fo.Detection(label="cup", bounding_box=[0.3, 0.1, 0.4, 0.6])
    dataset.add_sample(fo.Sample(filepath=str(path), labels=fo.Detections(detections=[box])))
    return dataset


@pytest.fixture
def shown(dataset):
    """Draws the panel, beside a sample or not, and gives all that is in it as JSON."""
    import fiftyone.operators as foo

    from fiftyone_promerge.operators.inspector.panel import Inspector

    def draw(sample_id=None, view=None, **state):
        ctx = foo.ExecutionContext(
            {
                "dataset_name": dataset.name,
                "view": None if view is None else view._serialize(),
                "current_sample": sample_id,
                "params": {"panel_id": "inspector", "panel_state": {}},
            },
            executor=foo.executor.Executor(),
        )
        inspector = Inspector()
        inspector.on_load(ctx)
        small = {"image_size": 160, **state.pop("parameters", {})}
        for name, value in {**state, **{f"parameters.{k}": v for k, v in small.items()}}.items():
            ctx.panel.set_state(name, value)
        return json.dumps(inspector.render(ctx).to_json())

    return draw


@pytest.fixture(scope="module")
def inspect(database, tmp_path_factory):
    """Inspects a photo or a plain image with the embedded backbone."""
    from fiftyone_promerge.inspection.inspect_image import Source, inspect_image
    from promerge_core import ProMergeConfig

    path = tmp_path_factory.mktemp("images") / "image.png"

    def run(image):
        image.save(path)
        return inspect_image(Source(str(path), "embedded", None), ProMergeConfig(image_size=160))

    return run


@pytest.fixture(scope="module")
def photo(inspect):
    return inspect(Image.fromarray(data.coffee()).resize((300, 200)))


@pytest.fixture(scope="module")
def plain(inspect):
    return inspect(Image.new("RGB", (300, 200), "white"))
