"""What is published of each benchmark, and what it is set beside."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from fiftyone_promerge.benchmarks.registry import BENCHMARKS, Benchmark, published_ap

METHODS = ["MaskCut", "ProMerge", "CutLER", "ProMerge+"]
PAPERS = ["coco2017", "coco20k", "lvis", "kitti", "objects365", "sa1b"]


def test_published_numbers_cover_all_benchmarks_of_the_paper():
    assert all(list(BENCHMARKS[name].published_ap) == METHODS for name in PAPERS)
    # "a 41.8% improvement in AP" on SA-1B, says the same source
    published = BENCHMARKS["sa1b"].published_ap
    assert published["ProMerge+"] / published["CutLER"] == pytest.approx(1.418, abs=5e-4)


def test_numbers_stand_only_beside_what_compares_the_same():
    assert published_ap("coco2017", ["segm"])["ProMerge"] == 2.4
    assert published_ap("kitti", ["bbox"])["ProMerge"] == 0.3
    assert published_ap("kitti", ["bbox", "segm"])["ProMerge"] == 0.3
    for benchmark, kinds in [("coco2017", ["bbox"]), ("kitti", ["segm"]), (None, ["segm"])]:
        assert not published_ap(benchmark, kinds)
    assert not published_ap("a benchmark of another version", ["segm"])


def test_a_benchmark_without_published_numbers_is_loaded_and_evaluated(
    shared_dir, database, tmp_path, monkeypatch
):
    import fiftyone as fo

    import fiftyone_promerge as fop
    from fiftyone_promerge.cli import evaluate as cli
    from fiftyone_promerge.inspection.statistics import evaluation_rows

    entry = Benchmark("Mine", "here", "there", "free", sign_up=False, has_masks=True)
    monkeypatch.setitem(BENCHMARKS, "mine", entry)
    sample = shared_dir / "coco_sample"
    fop.load_benchmark("mine", sample / "val2017", sample / "instances_val2017.json")
    dataset = fo.load_dataset("mine")
    dataset.persistent = True
    dataset.clone_sample_field("ground_truth", "found")
    scores = [[0.5] * len(ids) for ids in dataset.values("found.detections.id")]
    dataset.set_values("found.detections.confidence", scores)
    table = tmp_path / "table.json"
    done = CliRunner().invoke(cli.evaluate, ["mine", "--fields", "found", "--json", str(table)])
    assert done.exit_code == 0, done.output
    assert [row["name"] for row in json.loads(table.read_text())["rows"]] == ["found"]
    assert [row["name"] for row in evaluation_rows(dataset)] == ["eval_found_segm"]
    dataset.delete()
