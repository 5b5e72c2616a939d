"""Images side by side: in order, each on one thread, and nothing else is changed by it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch

from promerge_core.machine.processors import each_image


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_results_come_in_the_order_of_the_images():
    assert each_image(lambda a, b: (a, b), range(20), "abcdefghijklmnopqrst") == [
        *zip(range(20), "abcdefghijklmnopqrst", strict=True)
    ]
    assert each_image(str, []) == []


def test_each_image_has_one_thread_and_other_threads_have_theirs(two_threads):
    assert set(each_image(lambda _: torch.get_num_threads(), range(8))) == {1}
    seen = [torch.get_num_threads()]
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [2, 2]


def test_a_single_image_has_all_threads(two_threads):
    assert each_image(lambda _: torch.get_num_threads(), [0]) == [2]


def test_inference_mode_is_that_of_the_caller():
    with torch.inference_mode():
        assert all(each_image(lambda one: (one + 1).is_inference(), torch.zeros(3, 2)))
    assert not any(each_image(lambda one: (one + 1).is_inference(), torch.zeros(3, 2)))


def test_an_error_is_raised_and_the_threads_are_as_before(two_threads):
    with pytest.raises(ZeroDivisionError):
        each_image(lambda one: 1 // one, [1, 0])
    assert torch.get_num_threads() == 2


def at_once(before: str) -> int:
    """Most calls that were under way at once, in a process that does something first."""
    program = f"""
import os, threading, time
import torch
from promerge_core.machine.processors import each_image
torch.set_num_threads(4)
{before}
lock, running, most = threading.Lock(), 0, 0
def work(_):
    global running, most
    with lock:
        running += 1
        most = max(most, running)
    time.sleep(0.05)
    with lock:
        running -= 1
each_image(work, range(12))
print(most)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_that_may_use_one_processor_does_one_image_at_a_time():
    one = min(os.sched_getaffinity(0))
    assert at_once(f"os.sched_setaffinity(0, {{{one}}})") == 1
