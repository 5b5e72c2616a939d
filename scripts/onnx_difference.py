"""How far a detector as ONNX is from the same one in PyTorch, on photos at their full size.

python scripts/onnx_difference.py runs/cells/round_0/detector.pt bccd/test --images 20
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import box_iou

from fiftyone_promerge.training import export_detector, load
from promerge_core.images import open_image

_SAME = 0.99  # IoU of the boxes of one object in both forms


def torch_outputs(detector: Any, photo: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Boxes, scores and masks' probabilities of a photo, before masks are pasted.

    Args:
        detector: one of the engine torchvision.
        photo: uint8 [H, W, 3], RGB.

    Returns:
        float32 [N, 4], xyxy in pixels; [N]; [N, 28, 28].
    """
    model = detector.model
    with torch.inference_mode():
        images, _ = model.transform([torch.tensor(photo).movedim(2, 0) / 255])
        features = model.backbone(images.tensors)
        proposals, _ = model.rpn(images, features)
        (found,), _ = model.roi_heads(features, proposals, images.image_sizes)
        boxes = resize_boxes(found["boxes"], images.image_sizes[0], photo.shape[:2])
    return boxes, found["scores"], found["masks"][:, 0]


def main() -> None:
    """Prints the largest differences over all photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=20)
    arguments = parser.parse_args()
    detector = load(arguments.checkpoint, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        path = export_detector(arguments.checkpoint, Path(folder, "detector.onnx"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options)
        megabytes = path.stat().st_size / 1e6
    largest, objects, alone = np.zeros(3), 0, 0
    paths = sorted(arguments.photos.glob("*.jpg"))[: arguments.images]
    for photo in (np.asarray(open_image(path).convert("RGB")) for path in paths):
        ours = torch_outputs(detector, photo)
        theirs = [torch.tensor(one) for one in session.run(None, {"image": photo})]
        ious, partner = box_iou(ours[0], theirs[0]).max(1)
        is_same = ious > _SAME
        objects, alone = objects + len(ious), alone + int((~is_same).sum())
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            difference = (one[is_same] - other[partner[is_same]]).abs().max()
            largest[index] = max(largest[index], float(difference))
    print(f"{len(paths)} photos, {objects} objects, {alone} of them in one form alone")
    print("largest differences: boxes {:.2g} pixels, scores {:.2g}, masks {:.2g}".format(*largest))
    print(f"the file has {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
