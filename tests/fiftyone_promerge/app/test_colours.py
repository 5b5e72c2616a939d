"""The colours of labels in the App."""

from __future__ import annotations


def test_instances_get_colours_of_their_own(make_dataset):
    from fiftyone_promerge.app.colours import colour_by_instance

    dataset = make_dataset()
    assert colour_by_instance(dataset)
    dataset.reload()
    assert dataset.app_config.color_scheme.color_by == "instance"
    assert colour_by_instance(dataset)


def test_the_colours_that_a_person_chose_stay(make_dataset):
    import fiftyone as fo

    from fiftyone_promerge.app.colours import colour_by_instance

    dataset = make_dataset()
    dataset.app_config.color_scheme = fo.ColorScheme(color_by="value")
    dataset.save()
    assert not colour_by_instance(dataset)
    assert dataset.app_config.color_scheme.color_by == "value"
