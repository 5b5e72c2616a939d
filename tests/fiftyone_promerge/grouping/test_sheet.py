import numpy as np
import pytest
from PIL import Image

from promerge_core import PromergeError


def test_a_row_for_each_group_is_drawn(dataset, small_model, tmp_path):
    import fiftyone_promerge as fop

    fop.generate_masks(dataset, small_model, "promerge", num_workers=0, embeddings=True)
    fop.group_masks(dataset, "promerge", method="kmeans", groups=2)
    fop.draw_groups(dataset, "promerge", tmp_path / "new" / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "new" / "sheet.png")).astype(int)
    assert sheet.shape[0] == 30 + 2 * 102
    for row in range(2):
        seen = sheet[30 + 102 * row + 48, 150 + 48]
        # The photos have red and blue boxes, and nothing else.
        assert seen.argmax() in (0, 2) and seen.max() - seen[1] > 100


def test_a_picture_of_another_kind_is_refused(dataset, tmp_path):
    import fiftyone_promerge as fop

    with pytest.raises(PromergeError, match=r"sheet\.gif must end in \.jpg, \.jpeg"):
        fop.draw_groups(dataset, "promerge", tmp_path / "sheet.gif")
