"""The examples in the docstrings of the public names run, and give what they say."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

CORE = [
    "MaskCut",
    "MaskCutConfig",
    "ProMerge",
    "ProMergeConfig",
    "describe_masks",
    "load_backbone",
    "open_image",
    "prepare_image",
    "refine",
    "segment_features",
]
FIFTYONE = [
    "doubtful_masks",
    "draw_groups",
    "embed_masks",
    "evaluate",
    "export_coco",
    "export_detector",
    "generate_masks",
    "group_masks",
    "import_coco",
    "index_masks",
    "load_benchmark",
    "load_detector",
    "load_model",
    "merge_groups",
    "name_groups",
    "spread_labels",
    "train_detector",
]


def run_example(package: str, name: str) -> None:
    """Runs what the docstring of a public name shows."""
    public = getattr(importlib.import_module(package), name)
    (example,) = doctest.DocTestFinder(recurse=False).find(public, name, globs={})
    assert example.examples, f"{name} has no example"
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert not report, "".join(report)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples write beside them."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Images are few here: threads would wait for one another longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_datasets(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No dataset of the demo before, and none of the example after it; images are read here."""
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "max_process_pool_workers", 0)
    fo.delete_datasets("promerge-demo")
    before = set(fo.list_datasets())
    yield
    for name in set(fo.list_datasets()) - before:
        fo.delete_dataset(name)


@pytest.fixture
def coco_files(own_folder: None, database: str) -> None:
    """Two photos and their annotations, where the example of a benchmark looks for them."""
    from fiftyone_promerge.demo import demo_photos
    from promerge_core import open_image

    Path("val2017").mkdir()
    file = {"categories": [{"id": 17, "name": "cat"}], "images": [], "annotations": []}
    for number, photo in enumerate(demo_photos()[:2], 1):
        shutil.copy(photo, "val2017")
        width, height = open_image(photo).size
        image = {"id": number, "file_name": photo.name, "width": width, "height": height}
        box = {
            "bbox": [10, 20, 100, 200],
            "area": 20_000,
            "segmentation": [[10, 20, 110, 20, 110, 220, 10, 220]],
        }
        file["images"].append(image)
        file["annotations"].append(
            {"id": number, "image_id": number, "category_id": 17, "iscrowd": 0, **box}
        )
    Path("instances_val2017.json").write_text(json.dumps(file))


@pytest.fixture
def quick_smoke(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe `smoke` in one iteration."""
    from fiftyone_promerge.training import RECIPES

    smoke = RECIPES["smoke"]
    quick = dataclasses.replace(smoke.rounds[0], iterations=1, milestones=())
    recipe = dataclasses.replace(smoke, rounds=(quick,), min_samples=0)
    monkeypatch.setitem(RECIPES, "smoke", recipe)


@pytest.mark.parametrize("name", CORE)
def test_the_example_of_the_core_runs(name):
    run_example("promerge_core", name)


@pytest.mark.parametrize("name", [name for name in FIFTYONE if not name.endswith("_detector")])
def test_the_example_on_datasets_runs(name, no_datasets, coco_files):
    run_example("fiftyone_promerge", name)


def test_the_examples_of_a_detector_train_it_and_load_what_was_trained(no_datasets, quick_smoke):
    run_example("fiftyone_promerge", "train_detector")
    run_example("fiftyone_promerge", "load_detector")
    run_example("fiftyone_promerge", "export_detector")


@pytest.mark.parametrize(
    ("package", "names"), [("promerge_core", CORE), ("fiftyone_promerge", FIFTYONE)]
)
def test_every_public_function_has_its_example(package, names, database):
    module = importlib.import_module(package)
    functions = [name for name in module.__all__ if inspect.isfunction(getattr(module, name))]
    assert set(functions) <= set(names)
