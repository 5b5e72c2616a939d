"""Runs an operator's work so that the App shows live progress, and what happened.

FiftyOne draws a progress bar only for an operator that yields, so the work is done in a thread and
its progress is yielded from a queue. The page that started the run is its owner: when it is
closed, the work stops after the batch at hand. What is done by then is kept.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import fiftyone.core.utils as fou
import fiftyone.operators as foo
from fiftyone.operators.executor import ExecutionResult
from fiftyone.operators.message import GeneratedMessage, MessageType

from fiftyone_promerge.app.progress import Progress
from fiftyone_promerge.generation.database import database_sentence
from promerge_core import PromergeError

from .outputs import progress_output

logger = logging.getLogger(__name__)

Report = Callable[[float | None, str], None]
"""Takes the fraction done, in [0, 1], and one line that says what is being done.

The fraction is None while nobody knows it, as while a backbone is loaded.
"""

Work = Callable[[Report], dict[str, Any]]
"""Does the work and returns the operator's result, ready for JSON."""

Show = Callable[[dict[str, Any]], Iterable[GeneratedMessage]]
"""Makes the App show a result, whose key `error` says what went wrong."""


class StoppedError(PromergeError):
    """The person who started the run stopped it."""


class Runs:
    """The runs that are under way in this process, by a name that a person can read."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}

    def names(self) -> list[str]:
        """The names of all runs, oldest first."""
        return list(self._stops)

    def start(self, name: str) -> threading.Event:
        """Enters a run; the event it returns is set when the run shall stop.

        Raises:
            PromergeError: a run of that name is under way.
        """
        if name in self._stops:
            raise PromergeError(f"{name} is under way already; wait for it, or stop it")
        return self._stops.setdefault(name, threading.Event())

    def end(self, name: str) -> None:
        """Removes a run."""
        del self._stops[name]

    def stop(self, name: str) -> bool:
        """Asks a run to stop after the batch at hand; False where there is none."""
        event = self._stops.get(name)
        if event is not None:
            event.set()
        return event is not None


RUNS = Runs()


def execute(ctx: foo.ExecutionContext, name: str, work: Work, show: Show) -> Any:
    """Does an operator's work: with live progress in the App, else as a plain call.

    Args:
        ctx: the operator's context.
        name: what the run is called while it is under way; no two runs have the same name.
        work: the work.
        show: makes the App show the result.

    Returns:
        an async generator where the App asked for an immediate execution; the result where the
        execution is delegated or was asked for from Python.
    """
    if ctx.delegated or "operator_uri" not in ctx.request_params:
        return work(_throttled(lambda done, label: ctx.set_progress(progress=done, label=label)))
    return _stream(ctx, name, work, show)


async def _stream(
    ctx: foo.ExecutionContext, name: str, work: Work, show: Show
) -> AsyncIterator[GeneratedMessage]:
    # An async generator: the server cancels it where it waits, at once when the page is gone. A
    # plain one it only forgets, and the work would continue until Python finds it.
    try:
        stop = RUNS.start(name)
    except PromergeError as error:
        result = {"error": str(error)}
    else:
        messages: asyncio.Queue[tuple[float | None, str] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def put(message: tuple[float | None, str] | None) -> None:
            loop.call_soon_threadsafe(messages.put_nowait, message)

        future = _start(name, _stoppable(name, stop, put), work)
        future.add_done_callback(lambda _: put(None))
        try:
            message: tuple[float | None, str] | None = (None, "Starting")
            while message is not None:
                outputs = progress_output(name, message[1])
                yield ctx.ops.show_output(outputs.to_json(), {"progress": message[0]})
                message = await messages.get()
        finally:
            stop.set()
        result = _result(name, future)
    # In a thread: it may ask the database, for which the server's other requests shall not wait.
    for shown in await asyncio.to_thread(list, show(result)):
        yield shown
    yield _message(result)


def _start(name: str, report: Report, work: Work) -> Future[dict[str, Any]]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work, report)
    future.add_done_callback(lambda _: RUNS.end(name))
    pool.shutdown(wait=False)
    return future


def _stoppable(
    name: str, stop: threading.Event, put: Callable[[tuple[float | None, str]], Any]
) -> Report:
    send = _throttled(lambda done, label: put((done, label)))

    def report(done: float | None, label: str) -> None:
        if stop.is_set():
            raise StoppedError(
                f"{name} was stopped; what was done is kept, and the same form continues"
            )
        send(done, label)

    return report


def _result(name: str, future: Future[dict[str, Any]]) -> dict[str, Any]:
    failure = future.exception()
    if failure is None:
        return future.result()
    if not isinstance(failure, PromergeError):
        logger.error("%s failed", name, exc_info=failure)
    return {"error": error_sentence(failure), "stopped": isinstance(failure, StoppedError)}


def error_sentence(error: BaseException) -> str:
    """What a person is told of an error; ours are sentences already."""
    if isinstance(error, PromergeError):
        return str(error)
    failed = f"the run failed, and what was done is kept. {type(error).__name__}: {error}"
    return database_sentence(error) or failed


def _message(result: dict[str, Any]) -> GeneratedMessage:
    return GeneratedMessage(
        MessageType.SUCCESS, cls=ExecutionResult, body=ExecutionResult(result=result)
    )


def _throttled(send: Report) -> Report:
    """Reports twice a second at most, and the begin and the end of each step."""
    last = -math.inf

    def report(done: float | None, label: str) -> None:
        nonlocal last
        if time.monotonic() >= last + 0.5 or not done or done >= 1:
            last = time.monotonic()
            send(done, label)

    return report


def bar_progress(report: Report, progress: Progress) -> Callable[[fou.ProgressBar], None]:
    """A `progress` argument for FiftyOne's methods that reports how many samples are done.

    Args:
        report: is told the fraction done and a line.
        progress: makes the line.

    Returns:
        a function that FiftyOne calls with its progress bar.
    """

    def update(bar: fou.ProgressBar) -> None:
        report(progress.share(bar.iteration), progress.line(bar.iteration))

    return update
