"""A run of minutes on two CPU cores: it shows that all parts work, not how well."""

import dataclasses

from .cutler import CUTLER
from .recipe import Round

SMOKE = dataclasses.replace(
    CUTLER,
    name="smoke",
    title="Smoke: minutes on a laptop, to see that all works",
    rounds=(
        Round(
            iterations=300,
            learning_rate=0.04,
            milestones=(240,),
            droploss_iou=0.01,
            copy_paste_scale=(0.3, 1.0),
            rpn_nms=0.65,
            rpn_train_proposals=200,
        ),
    ),
    num_images=80,
    batch_size=2,
    images_per_device=2,
    min_samples=300,
    warmup_iterations=30,
    gradient_norm=5.0,
    short_sides=(96, 112, 128),
    long_side=192,
    test_short_side=128,
    rpn_pre_nms=(200, 200),
    rpn_test_proposals=200,
    proposals_per_image=32,
    validation_fraction=0.1,
    max_validation_images=8,
    validations=2,
    checkpoints=6,
)
