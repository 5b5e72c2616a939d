"""The panel without a browser: what it shows, and what *Apply* writes."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def panel(database):
    """Opens the panel on a dataset."""
    import fiftyone.operators as foo

    from fiftyone_promerge.operators.naming.panel import GroupsPanel

    class Opened:
        def __init__(self, dataset):
            self.panel = GroupsPanel()
            params = {"panel_id": "groups", "panel_state": {}}
            request = {"dataset_name": dataset.name, "view": None, "params": params}
            self.executor = foo.executor.Executor()
            self.ctx = foo.ExecutionContext(request, executor=self.executor)
            self.panel.on_load(self.ctx)

        def type(self, group, **values):
            for name, value in values.items():
                self.ctx.panel.set_state(f"groups.group_{group}.inputs.{name}", value)

        def apply(self):
            self.panel.apply(self.ctx)
            told = [one.to_json() for one in self.executor._requests]
            return [one["params"]["message"] for one in told if "message" in one["params"]][-1]

        def shown(self):
            return json.dumps(self.panel.render(self.ctx).to_json())

    return Opened


def labels(dataset):
    dataset.reload()
    return dataset.count_values("promerge.detections.label")


def test_each_group_is_a_row_of_pictures_with_its_count(panel, grouped):
    shown = panel(grouped).shown()
    assert "Group 0, 6 masks" in shown and "Group 1, 3 masks" in shown
    assert shown.count("data:image/jpeg;base64,") == 2


def test_nothing_is_written_before_apply_and_then_what_was_changed_alone(panel, grouped):
    opened = panel(grouped)
    opened.type(0, name=" cell ")
    assert labels(grouped) == {"object": 9}
    assert opened.apply() == "cell: 6 masks"
    assert labels(grouped) == {"cell": 6, "object": 3}
    assert opened.apply() == "nothing was changed"
    assert opened.ctx.panel.get_state("groups.group_0.inputs.name") == "cell"


def test_groups_are_merged_and_what_is_no_object_is_tagged(panel, grouped):
    opened = panel(grouped)
    opened.type(1, no_object=True)
    assert opened.apply() == "-: 3 masks"
    assert grouped.count_values("promerge.detections.tags") == {"not_object": 3}
    assert '"no_object": true' in json.dumps(opened.ctx.panel.get_state("groups"))
    opened.type(1, no_object=False, merge="0")
    opened.type(0, name="cell")
    assert "3 masks are in another group" in opened.apply()
    assert labels(grouped) == {"cell": 9}
    assert grouped.count_values("promerge.detections.group") == {0: 9}


def test_what_a_person_labelled_stays(panel, grouped):
    sample = grouped.first()
    sample.promerge.detections[0].label = "mine"
    sample.save()
    opened = panel(grouped)
    opened.type(0, name="cell")
    opened.apply()
    assert labels(grouped) == {"mine": 1, "cell": 5, "object": 3}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": "x" * 300}, "1 to 100 printable characters; got 300"),
        ({"merge": "7"}, "there is no group 7"),
        ({"merge": "0"}, "the groups 0 join one another"),
    ],
)
def test_a_bad_value_is_one_sentence_and_nothing_is_written(panel, grouped, values, says):
    opened = panel(grouped)
    opened.type(0, **values)
    assert says in opened.apply()
    assert labels(grouped) == {"object": 9}


def test_without_groups_the_panel_says_what_to_do(panel, masks, make_dataset):
    opened = panel(masks)
    assert "no mask of 'promerge' has a group" in opened.shown()
    assert "Group masks" in opened.shown()
    assert "Group masks" in panel(make_dataset()).shown()
