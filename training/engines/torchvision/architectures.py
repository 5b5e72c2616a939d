"""The architectures of the engine `torchvision`, one entry each."""

from __future__ import annotations

from typing import NamedTuple

from promerge_core.registry import TIMM_PREFIX


class Architecture(NamedTuple):
    """The sizes of a Mask R-CNN.

    Attributes:
        backbone: a ResNet of torchvision, such as `resnet50`, or a ConvNet of timm.
        fpn_channels: of each level of the FPN, and of the RPN.
        box_channels: of both layers of the box head.
        mask_channels: of the convolutions of the mask head; the last also of its deconvolution.
        by_timm: whether the backbone is timm's.
    """

    backbone: str
    fpn_channels: int
    box_channels: int
    mask_channels: tuple[int, ...]
    by_timm: bool = False


_SMALL = Architecture("resnet18", fpn_channels=128, box_channels=512, mask_channels=(128, 128))

ARCHITECTURES = {
    # He et al. 2017, with the FPN of Lin et al. 2017.
    "mask_rcnn": Architecture(
        "resnet50", fpn_channels=256, box_channels=1024, mask_channels=(256,) * 4
    ),
    "mask_rcnn_small": _SMALL,
}
"""Every architecture by its name in the registry, in checkpoints and in settings."""


def find_architecture(name: str) -> Architecture:
    """The architecture of a name that the registry admits.

    Args:
        name: a name of `ARCHITECTURES`, or `timm:<name>`: the small one on that ConvNet of timm.
    """
    if name.startswith(TIMM_PREFIX):
        return _SMALL._replace(backbone=name.removeprefix(TIMM_PREFIX), by_timm=True)
    return ARCHITECTURES[name]
