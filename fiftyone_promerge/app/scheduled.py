"""What became of the runs that were scheduled in the App, which has no page for them."""

from __future__ import annotations

import fiftyone as fo
from fiftyone.factory import DelegatedOperationPagingParams
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import ExecutionRunState

from fiftyone_promerge import plugin

_LATEST = 20
_WAITING = (ExecutionRunState.QUEUED, ExecutionRunState.SCHEDULED)


def scheduled_runs(dataset: fo.Dataset) -> list[str]:
    """What the scheduled runs of our operators on a dataset do.

    Args:
        dataset: the dataset.

    Returns:
        a line for each of the latest runs that waits or works, and for the very latest one if it
        failed; the newest first.
    """
    newest_first = DelegatedOperationPagingParams(limit=_LATEST)
    found = DelegatedOperationService().list_operations(
        dataset_name=dataset.name, paging=newest_first
    )
    ours = [one for one in found if one.operator.startswith(f"{plugin.NAME}/")]
    lines = []
    for place, one in enumerate(ours):
        name = f"The scheduled run {one.operator.rpartition('/')[2]}"
        if one.run_state in _WAITING:
            lines.append(f"{name} waits for `fiftyone delegated launch` in a terminal.")
        elif one.run_state == ExecutionRunState.RUNNING:
            label = None if one.status is None else one.status.label
            lines.append(f"{name} is under way. {label or 'It has just begun'}.")
        elif one.run_state == ExecutionRunState.FAILED and place == 0:
            error = (one.result and one.result.error) or "nobody said why"
            lines.append(f"{name} failed: {error.strip().splitlines()[-1]}")
    return lines
