import base64
import io

import numpy as np
from PIL import Image


def test_a_strip_shows_the_masks_of_its_group_and_is_kept_until_the_stamp_changes(grouped):
    from fiftyone_promerge.operators.naming.rows import strips

    red, blue = strips(grouped.name, "promerge", "a")
    for one, channel in ((red, 0), (blue, 2)):
        data = base64.b64decode(one.picture.partition(",")[2])
        picture = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        assert picture.shape == (88, 6 * 92, 3)
        assert picture[44, 44].argmax() == channel and picture[44, 44].max() > 150
    grouped.clear_sample_field("promerge")
    assert strips(grouped.name, "promerge", "a")[0] is red
