"""How a run tells a person how far it is, and hears that it is to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tqdm import tqdm

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Is called with the iterations done, those of all rounds, and the latest metrics by name."""


class Listener:
    """Shows a bar and calls a person's progress function; once that has raised, the run is to stop.

    Args:
        progress: the function.

    Attributes:
        done: iterations done.
        raised: what it raised.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._bar: tqdm | None = None
        self.done = 0
        self.raised: BaseException | None = None

    def report(self, done: int, total: int, metrics: Mapping[str, float]) -> None:
        """Tells how far the run is.

        Args:
            done: iterations done, over all rounds.
            total: iterations of the whole run, which may become fewer or more again.
            metrics: the latest, by name.
        """
        self.done = done
        self._show(done, total, metrics)
        if self._progress is None or self.raised is not None:
            return
        try:
            self._progress(done, total, metrics)
        except BaseException as error:  # also KeyboardInterrupt: it is raised again after the stop
            self.raised = error

    def _show(self, done: int, total: int, metrics: Mapping[str, float]) -> None:
        if self._bar is None:  # a run that is resumed begins in its middle
            self._bar = tqdm(total=total, initial=done, unit="iteration", mininterval=1)
        self._bar.total = total
        shown = {name: metrics[name] for name in ("round", "loss", "AP") if name in metrics}
        if done > self._bar.n:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Ends the bar's line."""
        if self._bar is not None:
            self._bar.close()

    def stop(self) -> bool:
        """Whether the run is to stop."""
        return self.raised is not None
