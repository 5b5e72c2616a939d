"""The listener tells a person's function, and remembers what it raised."""

from __future__ import annotations

import pytest

from fiftyone_promerge.training.run.listener import Listener


@pytest.fixture
def calls():
    return []


def test_it_passes_on_what_is_done_of_how_much(calls):
    listener = Listener(lambda *call: calls.append(call))
    listener.report(4, 10, {"loss": 2.0})
    listener.report(5, 10, {"loss": 1.0})
    listener.close()
    assert calls == [(4, 10, {"loss": 2.0}), (5, 10, {"loss": 1.0})]
    assert listener.done == 5 and not listener.stop()


@pytest.mark.parametrize("error", [ValueError("enough"), KeyboardInterrupt()])
def test_what_the_function_raises_stops_the_run_and_ends_the_calls(calls, error):
    def progress(*call):
        calls.append(call)
        raise error

    listener = Listener(progress)
    assert not listener.stop()
    listener.report(1, 10, {})
    assert listener.stop() and listener.raised is error
    listener.report(2, 10, {})
    assert len(calls) == 1 and listener.done == 2


def test_without_a_function_there_is_still_a_bar(capsys):
    listener = Listener(None)
    listener.report(7, 10, {"loss": 2.5, "AP": 0.25, "loss_mask": 1.0})
    listener.report(8, 9, {"loss": 2.5, "AP": 0.25, "loss_mask": 1.0})
    listener.close()
    bar = capsys.readouterr().err
    assert "7/10" in bar
    assert "8/9" in bar, "the run became shorter"
    assert "loss=2.5" in bar and "AP=0.25" in bar and "loss_mask" not in bar
