"""The command `promerge`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import rich_click as click

from fiftyone_promerge.generation.database import explained_failures
from promerge_core import PromergeError

from .app import app, install_plugin_command
from .coco import export_field, import_field
from .demo import demo
from .evaluate import benchmark_data, evaluate
from .exporting import export_detector_command
from .grouping import group, name, spread
from .masks.generate import generate
from .masks.predict import predict
from .profile import benchmark
from .report import printable
from .training import train

click.rich_click.TEXT_MARKUP = "markdown"
# In a terminal of 80 columns the ranges beside the flags would cut the longest names.
click.rich_click.OPTIONS_TABLE_COLUMN_TYPES = ["required", "opt_short", "opt_long", "help"]
click.rich_click.OPTIONS_TABLE_HELP_SECTIONS = ["help", "metavar", "required", "default"]


class _SparedPopen(psutil.Popen):
    """A child process that Ctrl-C in the terminal does not reach; it is for this process alone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # What is blocked stays blocked in the child; here it comes through afterwards.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().__init__(*arguments, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _children_spared() -> Iterator[None]:
    """Inside, FiftyOne's servers do not hear Ctrl-C.

    They ignore it themselves, but not as long as they are still being imported: then a traceback of
    each would stand beside our sentence. FiftyOne starts them by `psutil.Popen`, when it is
    imported or the App is opened.
    """
    plain = psutil.Popen
    psutil.Popen = _SparedPopen
    try:
        yield
    finally:
        psutil.Popen = plain


class PromergeGroup(click.RichGroup):
    """Turns what a user can cause into one sentence and a non-zero exit."""

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group.invoke`."""
        try:
            with explained_failures(), _children_spared():
                return super().invoke(ctx)
        except PromergeError as error:
            raise click.ClickException(printable(str(error))) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            what = printable(f"{where}{error.strerror or error}")
            raise click.ClickException(what) from error
        except KeyboardInterrupt as error:
            raise click.ClickException(
                "stopped; what was done is kept, and the same command continues from there"
            ) from error


@click.group(cls=PromergeGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fiftyone-promerge")
def main() -> None:
    """Instance masks for images without labels, in FiftyOne or as COCO json."""
    # With mongod 6.0 FiftyOne prints a notice at every start, though it supports it.
    os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")


for command in (
    generate,
    evaluate,
    benchmark_data,
    export_field,
    import_field,
    group,
    name,
    spread,
    train,
    predict,
    export_detector_command,
    demo,
    app,
    install_plugin_command,
    benchmark,
):
    main.add_command(command)
