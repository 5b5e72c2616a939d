"""How far a run is, in words."""

from __future__ import annotations

import pytest

from fiftyone_promerge.app.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 second"),
        (45, "45 seconds"),
        (1655.3, "28 minutes"),
        (3 * 3600 + 1800, "3.5 hours"),
    ],
)
def test_a_time_is_said_as_a_person_says_it(seconds, said):
    assert duration(seconds) == said


def test_the_rest_is_estimated_from_the_first_image_on():
    times = iter([0.0, 60.0, 100.0])
    progress = Progress("Segmenting", 30, clock=lambda: next(times))
    assert progress.line(0) == "Segmenting: 0 of 30"
    assert progress.line(1) == "Segmenting: 1 of 30, about 29 minutes left"
    assert progress.line(20) == "Segmenting: 20 of 30, about 50 seconds left"
    assert progress.line(30) == "Segmenting: 30 of 30"
    assert (progress.share(3), progress.share(31)) == (0.1, 1.0)


def test_nothing_to_do_is_no_error():
    assert Progress("Segmenting", 0).share(0) == 0
