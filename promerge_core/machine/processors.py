"""Many images side by side, each on a processor of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import joblib
import torch

Result = TypeVar("Result")


def each_image(work: Callable[..., Result], *columns: Iterable[Any]) -> list[Result]:
    """What `map` gives, with as many calls at once as there are processors.

    PyTorch would divide each operation among the processors and wait for the last of them. Work on
    one image is thousands of small operations: where another program holds up one processor, all
    of them wait, thousands of times. So each call keeps to one thread, which waits for no other; a
    single image has all of them.

    Args:
        work: done on each image, mostly by PyTorch, whose operations need no lock of Python's.
        columns: its arguments, as for `map`.

    Returns:
        the results, in the order of the images.
    """
    threads = torch.get_num_threads()
    inference = torch.is_inference_mode_enabled()

    def call(*arguments: Any) -> Result:
        with torch.inference_mode(inference):
            return work(*arguments)

    calls = list(zip(*columns, strict=False))
    if len(calls) == 1:
        return [call(*calls[0])]
    # Where PyTorch is told to use fewer, so are we; a container may have fewer than it shows.
    workers = min(threads, joblib.cpu_count())
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(lambda arguments: call(*arguments), calls))
    finally:
        # The number is a thread's own, but what is set last also holds for threads to come.
        torch.set_num_threads(threads)
