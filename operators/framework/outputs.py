"""Parts of the outputs that operators show."""

from __future__ import annotations

from fiftyone.operators import types


def table(
    outputs: types.Object, name: str, columns: dict[str, str], label: str | None = None
) -> None:
    """Shows a list of dicts as a table.

    Args:
        outputs: where to show it.
        name: the result's key that holds the list.
        columns: key of each column -> what stands above it.
        label: what stands above the table.
    """
    view = types.TableView()
    for key, heading in columns.items():
        view.add_column(key, label=heading)
    row = types.Object()
    for key in columns:
        row.str(key)
    outputs.list(name, row, view=view, label=label)
