"""A few hundred images, on a CPU or one GPU, from random weights.

It is short: after some eleven crops of each image the detector begins to learn the errors of its
labels.
"""

from .recipe import Recipe, Round

SMALL = Recipe(
    name="small",
    title="Small: for 50 to 5,000 images, on a laptop or one GPU",
    rounds=(
        Round(
            iterations=1840,
            learning_rate=3e-4,
            milestones=(),
            droploss_iou=0.01,
            copy_paste_scale=None,
            rpn_nms=0.7,
            rpn_train_proposals=500,
        ),
    ),
    num_images=5000,
    batch_size=8,
    images_per_device=8,
    min_samples=800,
    warmup_iterations=50,
    warmup_factor=0.01,
    gamma=0.1,
    momentum=0.9,
    weight_decay=0.05,
    gradient_norm=1.0,
    short_sides=(640,),
    long_side=1333,
    test_short_side=640,
    rpn_pre_nms=(1000, 1000),
    rpn_test_proposals=500,
    proposals_per_image=128,
    max_copy_paste_cover=0.5,
    label_iou=0.5,
    validation_fraction=0.08,
    max_validation_images=200,
    min_validation_images=8,
    validations=8,
    checkpoints=40,
    images_power=0.5,
    optimizer="adamw",
    decay="cosine",
    average=0.998,
    crop=256,
    crop_scales=(0.7, 1.4),
    norm="group",
    jitter=0.2,
    bfloat16=True,
    adapts=True,
    architecture="mask_rcnn_small",
    weights="random",
)
