"""What commands print of a run and of its speed."""

from __future__ import annotations

import io

from rich.console import Console

from fiftyone_promerge.cli.report import print_profile, print_summary
from promerge_core import NoMasks, Summary
from promerge_core.images import SkippedImage


def printed(show, content) -> str:
    console = Console(file=io.StringIO(), width=200)
    show(content, console)
    return console.file.getvalue()


def test_a_summary_names_images_masks_and_reasons():
    summary = Summary(images=4, masks=9, seconds={"backbone": 2.0})
    summary.reasons[NoMasks.ALL_PRUNED.value] = 1
    shown = printed(print_summary, summary)
    assert NoMasks.ALL_PRUNED.explanation in shown
    assert "0.500 s per image" in shown
    assert "skipped:" not in shown


def test_twenty_skipped_images_are_listed_and_the_others_counted():
    skipped = [SkippedImage(f"{number}.png", "not an image") for number in range(23)]
    shown = printed(print_summary, Summary(skipped=skipped))
    assert shown.count("skipped: ") == 20
    assert "... and 3 more" in shown


def test_figures_of_a_gpu_are_printed_where_there_are_any():
    figures = {
        "machine": {"CPU": "one"},
        "backbone": {"name": "embedded", "dtype": "float32", "batch_size": 1},
        "rows": [{"stage": "backbone", "median_s": 0.5, "min_s": 0.25}],
        "end_to_end": {
            "images_per_s": 2.0,
            "to_backbone": 1.1,
            "masks": [1, 2],
            "floor_s": 0.1,
            "share_of_floor": 0.2,
        },
        "peers": {"scipy": 12.0},
        "fiftyone": {
            "seconds": 0.006,
            "images": 10,
            "masks_per_image": 3,
            "device_images_per_s": 150,
            "device_share": 0.09,
        },
        "peak_rss_mib": 900,
    }
    shown = printed(print_profile, figures)
    assert "scipy: 12.0 times as long as ours" in shown
    assert "6.0 ms" in shown and "GPU" not in shown
    assert "peak GPU memory: 70 MiB" in printed(print_profile, {**figures, "peak_gpu_mib": 70})
