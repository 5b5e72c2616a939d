"""The lock on an output: who holds it, and when it is free again."""

from __future__ import annotations

import multiprocessing
import os
import threading

import pytest

from promerge_core.runs.locks import hold, is_held
from promerge_core.runs.sources import RunError

HOLDER = """
import os, sys, time
from pathlib import Path
from promerge_core.runs.locks import hold

with hold(Path(sys.argv[1])):
    if sys.argv[2] == "fork" and os.fork() == 0:
        print("reads on", flush=True)
        time.sleep(60)
        os._exit(0)
    if sys.argv[2] == "alone":
        print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def output(tmp_path):
    return tmp_path / "masks.json"


@pytest.fixture
def holder(output, start_program):
    """Starts a process that holds the lock, alone or with a forked one that lives on."""
    return lambda how: start_program(HOLDER, str(output), how)


def test_a_second_process_is_told_who_holds_it(output, holder):
    process = holder("alone")
    with (
        pytest.raises(RunError, match=rf"masks\.json is being written by process {process.pid} "),
        hold(output),
    ):
        pass
    assert [path.name for path in output.parent.iterdir()] == ["masks.json.promerge-lock"]


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_the_lock_of_a_dead_process_is_taken_over(output, holder, how):
    assert not is_held(output)
    process = holder(how)
    assert is_held(output)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_held(output)
    assert output.with_name("masks.json.promerge-lock").exists()
    with hold(output):
        assert is_held(output)
    assert list(output.parent.iterdir()) == []


def test_blocks_may_be_nested_and_the_outer_one_holds_it(output):
    with hold(output):
        with hold(output):
            pass
        assert refused_elsewhere(output)
    assert not refused_elsewhere(output)


def refused_elsewhere(output):
    """Whether another thread is refused."""
    refused = []

    def attempt():
        try:
            with hold(output):
                refused.append(False)
        except RunError:
            refused.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return refused[0]


def test_it_is_free_after_an_error(output):
    with pytest.raises(ZeroDivisionError), hold(output):
        raise ZeroDivisionError
    assert list(output.parent.iterdir()) == []
    with hold(output):
        pass


def count_up(counter):
    """Adds one to a number in a file, fifty times, each time under the lock."""
    for _ in range(50):
        while True:
            try:
                with hold(counter):
                    counter.write_text(str(int(counter.read_text()) + 1))
                break
            except RunError:
                pass


def test_no_two_processes_ever_hold_it_though_its_file_comes_and_goes(output):
    output.write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=count_up, args=(output,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert output.read_text() == "200"
    assert [path.name for path in output.parent.iterdir()] == ["masks.json"]


def test_a_lock_is_not_written_through_a_link(output, tmp_path):
    (tmp_path / "precious").write_text("words")
    (tmp_path / "masks.json.promerge-lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="Too many levels of symbolic links"), hold(output):
        pass
    assert (tmp_path / "precious").read_text() == "words"
