"""The first lines of a form, as the App gets them."""

from __future__ import annotations

from fiftyone_promerge import plugin


def test_a_form_begins_with_what_will_be_done_to_which_samples(app, photos):
    shown = app.form("export_coco", photos)
    assert next(iter(shown)) == "will_do"
    assert shown["will_do"]["view"]["label"].startswith("4 images")


def test_a_scheduled_run_is_told_above_all_else(app, photos):
    from fiftyone.operators.delegated import DelegatedOperationService
    from fiftyone.operators.executor import ExecutionContext

    context = ExecutionContext({"dataset_name": photos.name, "dataset_id": str(photos._doc.id)})
    service = DelegatedOperationService()
    queued = service.queue_operation(f"{plugin.NAME}/export_coco", "Export", context=context)
    try:
        name, first = next(iter(app.form("export_coco", photos).items()))
        assert name == "scheduled"
        assert "export_coco waits" in first["view"]["label"]
    finally:
        service.delete_operation(queued.id)
    assert "scheduled" not in app.form("export_coco", photos)
