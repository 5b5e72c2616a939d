"""Groups of masks in a real App: a person names them in the panel."""

from __future__ import annotations

import numpy as np
import pytest

PANEL = "promerge_groups"


@pytest.fixture
def grouped(dataset):
    """Two boxes on each photo, whose vectors make two groups."""
    import fiftyone as fo

    import fiftyone_promerge as fop

    for number, sample in enumerate(dataset):
        sample["promerge"] = fo.Detections(
            detections=[
                fo.Detection(
                    label="object",
                    bounding_box=[0.1 + 0.4 * side, 0.2, 0.3, 0.5],
                    embedding=np.array([0.1 * number, 9 * side], np.float32),
                )
                for side in (0, 0, 1)
            ]
        )
        sample.save()
    dataset.add_sample_field("promerge.detections.embedding", fo.VectorField)
    fop.group_masks(dataset, "promerge", method="kmeans", groups=2)
    return dataset


def test_groups_are_shown_as_pictures_named_and_one_is_no_object(app, grouped, expect):
    app.open(grouped.name)
    app.find_operators("Name groups").get_by_text("Name groups (ProMerge)", exact=True).click()
    panel = app.page.locator(f'[data-cy="panel-content-{PANEL}"]')
    expect(panel.locator('img[src^="data:image/jpeg"]')).to_have_count(2)

    def below(label):
        return panel.locator(f'xpath=.//p[normalize-space()="{label}"]/following::input[1]')

    below("Group 0, 8 masks").fill("left")
    below("Group 0, 8 masks").press("Tab")
    panel.get_by_label("Not an object").nth(1).check()
    panel.get_by_role("button", name="Apply").click()
    expect(app.page.get_by_text("left: 8 masks; -: 4 masks")).to_be_visible()
    grouped.reload()
    assert grouped.count_values("promerge.detections.label") == {"left": 8, "object": 4}
    assert grouped.count_values("promerge.detections.tags") == {"not_object": 4}
    panel.locator('img[src^="data:image/jpeg"]').nth(1).click()
    expect(app.page.get_by_text("4 patches")).to_be_visible()
