"""The commands `app` and `install-plugin`."""

from __future__ import annotations

import os

import rich_click as click

from promerge_core import PromergeError

from .report import console


@click.command()
@click.argument("dataset", default="promerge-demo")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5151,
    show_default=True,
    help="Where the App listens on this machine.",
)
@click.option("--remote", is_flag=True, help="Do not open a browser on this machine.")
def app(dataset: str, port: int, remote: bool) -> None:
    """Open the FiftyOne App on DATASET.

    Runs that are scheduled in a form are done by `fiftyone delegated launch`, in another terminal.
    """
    # FiftyOne offers "Schedule" only where the App's server was started with this setting.
    os.environ.setdefault("FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS", "true")
    import fiftyone as fo

    from fiftyone_promerge.fields import has_dataset
    from fiftyone_promerge.installation import install_plugin

    if not has_dataset(dataset):
        raise PromergeError(f"there is no FiftyOne dataset {dataset!r}; promerge demo makes one")
    folder = install_plugin()
    if folder is not None:
        console.print(f"The App's operators were installed in {folder}")
    session = fo.launch_app(fo.load_dataset(dataset), port=port, remote=remote)
    console.print(f"The App is at http://localhost:{port}; press Ctrl-C to stop it")
    session.wait(-1)


@click.command("install-plugin")
def install_plugin_command() -> None:
    """Install the operators and the panel into the FiftyOne App of this environment."""
    from fiftyone_promerge.installation import install_plugin
    from fiftyone_promerge.plugin import NAME

    folder = install_plugin()
    where = f"installed in {folder}" if folder else "there already"
    console.print(f"The plugin {NAME} is {where}; restart the App to see it")
