"""A run of minutes on two CPU cores: it shows that all parts work, not how well."""

import dataclasses

from .cutler import CUTLER
from .recipe import Round

SMOKE = dataclasses.replace(
    CUTLER,
    name="smoke",
    rounds=(
        Round(
            iterations=200,
            learning_rate=0.02,
            milestones=(150,),
            droploss_iou=0.01,
            copy_paste_scale=(0.3, 1.0),
            rpn_nms=0.65,
            rpn_train_proposals=500,
        ),
    ),
    num_images=80,
    batch_size=4,
    images_per_device=4,
    min_samples=200,
    warmup_iterations=20,
    gamma=0.1,
    short_sides=(128, 144, 160),
    long_side=256,
    test_short_side=160,
    rpn_pre_nms=(500, 250),
    rpn_test_proposals=250,
    proposals_per_image=64,
    validation_fraction=0.1,
    max_validation_images=20,
    validations=2,
    checkpoints=10,
)
