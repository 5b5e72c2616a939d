"""What commands print of a run and of its speed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from fiftyone_promerge.cli.report import (
    PlainConsole,
    console,
    print_profile,
    print_summary,
    printable,
)
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


def test_skipped_images_are_one_line_per_kind_of_reason():
    skipped = [SkippedImage(f"/a/{n}.png", f"/a/{n}.png: not an image") for n in range(23)]
    skipped += [SkippedImage(f"{n}.jpg", f"/a/{n}.jpg: broken image: {n} bytes") for n in range(2)]
    skipped += [SkippedImage("[/bold].jpg", "/a/[/bold].jpg: no such file")]
    shown = printed(print_summary, Summary(skipped=skipped))
    lines = [line for line in shown.splitlines() if line.startswith("skipped: ")]
    assert lines == [
        "skipped: 23 images: not an image: 0.png, 1.png, 2.png and 20 more",
        "skipped: 2 images: broken image: 0.jpg, 1.jpg",
        "skipped: /a/[/bold].jpg: no such file",
    ]
    assert "│ 26 " in shown


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
            "floor": {
                "flop": 3e11,
                "flop_per_s": 4e11,
                "exponentials": 1.5e9,
                "exponentials_per_s": 6e9,
            },
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
    assert "0.30 TFLOP at 0.40 TFLOP/s and 1.50 G exponentials at 6.00 G/s" in " ".join(
        shown.split()
    )
    assert "6.0 ms" in shown and "GPU" not in shown
    assert "peak GPU memory: 70 MiB" in printed(print_profile, {**figures, "peak_gpu_mib": 70})


# Text from outside ----------------------------------------------------------------------------


def test_every_command_prints_by_the_same_console():
    from fiftyone_promerge.cli import app, coco, demo, evaluate, profile, training
    from fiftyone_promerge.cli.masks import generate, predict

    for module in (app, coco, demo, evaluate, generate, predict, profile, training):
        assert module.console is console


@pytest.mark.parametrize("text", ["[/bold].jpg", "[bold]a[/bold]", "[link=x]", ":smile:", "a\\"])
def test_what_looks_like_markup_is_printed_as_it_is(text: str):
    out = io.StringIO()
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    console = PlainConsole(file=out, width=80)
    console.print(text, style="yellow")
    console.print(table)
    assert out.getvalue().count(text) == 4


def test_what_no_terminal_can_print_is_escaped():
    assert printable("ä ☃\nb") == "ä ☃\nb"
    assert printable("a\x1b[2J\r\udcff\x00") == r"a\x1b[2J\r\udcff\x00"
    out = io.StringIO()
    PlainConsole(file=out).print("a\x1b[2Jb")
    assert out.getvalue() == "a\\x1b[2Jb\n"
