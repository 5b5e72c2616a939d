"""CutLER (Wang et al., CVPR 2023): a detector on MaskCut's masks, then two of self-training."""

import dataclasses

from .recipe import Recipe, Round

_FIRST = Round(
    iterations=160_000,
    learning_rate=0.01,
    milestones=(80_000,),
    droploss_iou=0.01,
    copy_paste_scale=(0.3, 1.0),
    rpn_nms=0.65,
    rpn_train_proposals=4000,
)
_SECOND = Round(
    iterations=80_000,
    learning_rate=0.005,
    milestones=(),
    droploss_iou=None,
    copy_paste_scale=(0.5, 1.0),
    rpn_nms=0.7,
    rpn_train_proposals=1000,
    score_threshold=0.7,
)

CUTLER = Recipe(
    name="cutler",
    title="CutLER: one round and two of self-training",
    rounds=(_FIRST, _SECOND, dataclasses.replace(_SECOND, score_threshold=0.65)),
    num_images=1_281_167,
    batch_size=16,
    images_per_device=2,
    min_samples=80_000,
    warmup_iterations=1000,
    warmup_factor=0.001,
    gamma=0.1,
    momentum=0.9,
    weight_decay=5e-5,
    gradient_norm=1.0,
    short_sides=(240, 320, 480, 640, 672, 704, 736, 768, 800, 1024),
    long_side=1333,
    test_short_side=800,
    rpn_pre_nms=(2000, 1000),
    rpn_test_proposals=1000,
    proposals_per_image=512,
    max_copy_paste_cover=0.5,
    label_iou=0.5,
    validation_fraction=0.05,
    max_validation_images=500,
    validations=8,
    checkpoints=80,
    by_architecture={"cascade_mask_rcnn": {"gamma": 0.02}},
)
