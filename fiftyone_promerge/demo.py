"""The demo: real photos that come with scikit-image and scikit-learn."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import fiftyone as fo

from fiftyone_promerge.app.colours import colour_by_instance
from fiftyone_promerge.generation.generate import generate_masks
from fiftyone_promerge.models.promerge import ProMergeModel
from promerge_core import PromergeError, Summary, open_image

from .drawing import draw_masks
from .labels import detection_to_mask
from .provenance import recorded_run

DATASET = "promerge-demo"

_DEFAULT_FIELDS = {"id", "filepath", "tags", "metadata", "created_at", "last_modified_at"}

_PHOTOS = {
    "skimage": (
        "data/chelsea.png",
        "data/coffee.png",
        "data/astronaut.png",
        "data/rocket.jpg",
        "data/motorcycle_left.png",
        "data/coins.png",
    ),
    "sklearn": ("datasets/images/flower.jpg", "datasets/images/china.jpg"),
}


def demo_photos() -> list[Path]:
    """The photos' files inside the installed packages."""
    photos = []
    for package, names in _PHOTOS.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"{package} is not installed, and the demo's photos with it")
        photos += [Path(spec.origin).parent / name for name in names]
    return photos


def demo_field(backbone: str) -> str:
    """The field for a backbone's masks, so that several can be compared."""
    return "promerge_" + re.sub(r"\W+", "_", backbone)


def run_demo(model: ProMergeModel, picture: Path) -> tuple[fo.Dataset, Summary]:
    """Segments the demo's photos into a persistent dataset and draws all results.

    Args:
        model: makes the masks.
        picture: where to draw them.

    Returns:
        the dataset, and what was done.
    """
    dataset = demo_dataset()
    field = demo_field(model.generator.backbone.name)
    colour_by_instance(dataset)
    summary = generate_masks(dataset, model, field, overwrite=True, num_workers=0)
    images, masks = [], []
    for sample in dataset:
        image = open_image(sample.filepath)
        images.append(image)
        masks.append([detection_to_mask(d, *image.size) for d in sample[field].detections])
    draw_masks(images, masks, picture)
    return dataset, summary


def demo_dataset() -> fo.Dataset:
    """The demo's dataset; one of an installation elsewhere is replaced.

    Raises:
        PromergeError: it holds something of a person's.
    """
    photos = [str(path) for path in demo_photos()]
    if fo.dataset_exists(DATASET):
        dataset = fo.load_dataset(DATASET)
        if dataset.values("filepath") == photos:
            return dataset
        _check_own(dataset, photos)
        dataset.delete()
    dataset = fo.Dataset(DATASET, persistent=True)
    dataset.add_samples([fo.Sample(filepath=photo) for photo in photos], progress=False)
    dataset.compute_metadata(progress=False)
    return dataset


def _check_own(dataset: fo.Dataset, photos: list[str]) -> None:
    """Raises PromergeError where a dataset has more than the demo puts into one."""
    fields = set(dataset.get_field_schema()) - _DEFAULT_FIELDS
    names = [Path(path).name for path in dataset.values("filepath")]
    if (
        names != [Path(path).name for path in photos]
        or any(recorded_run(dataset, field) is None for field in fields)
        or dataset.distinct("tags")
    ):
        raise PromergeError(
            f"the FiftyOne dataset {dataset.name!r} holds other photos or fields than the demo's; "
            f"rename it, and the demo makes its own"
        )
