"""What forms tell of scheduled runs."""

from __future__ import annotations


def test_a_scheduled_run_waits_works_and_says_why_it_failed(make_dataset):
    import fiftyone.operators as foo
    from fiftyone.operators.delegated import DelegatedOperationService

    from fiftyone_promerge.app.scheduled import scheduled_runs
    from fiftyone_promerge.plugin import NAME

    dataset = make_dataset()
    assert scheduled_runs(dataset) == []
    service = DelegatedOperationService()
    context = {"request_params": {"dataset_name": dataset.name, "params": {}}}

    def schedule(operator):
        queued = service.queue_operation(operator=operator, context=foo.ExecutionContext(**context))
        return queued.id

    schedule("@somebody/else/counts")
    run = schedule(f"{NAME}/generate_masks")
    try:
        assert scheduled_runs(dataset) == [
            "The scheduled run generate_masks waits for `fiftyone delegated launch` in a terminal."
        ]
        service.set_running(run)
        assert scheduled_runs(dataset)[0].endswith("is under way. It has just begun.")
        progress = foo.executor.ExecutionProgress(0.1, "Segmenting: 3 of 30")
        service.set_progress(run, progress)
        assert scheduled_runs(dataset)[0].endswith("is under way. Segmenting: 3 of 30.")
        failed = foo.executor.ExecutionResult(error="Traceback\nPromergeError: no such file")
        service.set_failed(run, failed)
        assert scheduled_runs(dataset) == [
            "The scheduled run generate_masks failed: PromergeError: no such file"
        ]
        other = schedule(f"{NAME}/export_coco")
        service.set_completed(other)
        assert scheduled_runs(dataset) == []
    finally:
        for one in service.list_operations(dataset_name=dataset.name):
            service.delete_operation(one.id)
