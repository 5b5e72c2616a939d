"""The colours in which the App draws the labels of a dataset."""

from __future__ import annotations

import fiftyone as fo

BY_INSTANCE = "instance"


def colour_by_instance(dataset: fo.Dataset) -> bool:
    """Makes the App tell instances apart by colour: all masks here are of one class.

    Colours that a person has chosen for the dataset stay.

    Args:
        dataset: the dataset; its settings for the App are saved.

    Returns:
        whether instances have colours of their own now.
    """
    scheme = dataset.app_config.color_scheme
    if scheme is None:
        dataset.app_config.color_scheme = fo.ColorScheme(color_by=BY_INSTANCE)
        dataset.save()
        return True
    return bool(scheme.color_by == BY_INSTANCE)
