"""The six benchmarks of the ProMerge paper as FiftyOne datasets.

None is downloaded but COCO 2017: their images come under licences of their own, some after
signing up. `BENCHMARKS` says where everything is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import fiftyone as fo
import fiftyone.zoo as foz

from fiftyone_promerge.coco.annotations import IMAGE_ID_FIELD, ImageSize
from fiftyone_promerge.coco.importing import LabelWriter, annotation_to_detection
from fiftyone_promerge.coco.validation import UniqueIds, check_image, named_annotations, shown
from promerge_core.errors import CocoError, PromergeError
from promerge_core.runs.coco_file import CocoFile

from .registry import BENCHMARKS, where_to_get
from .sa1b import Sa1bFolder

logger = logging.getLogger(__name__)

GT_FIELD = "ground_truth"
"""The field of the benchmark's own labels, named as FiftyOne's zoo names it."""


class BenchmarkError(PromergeError):
    """A benchmark's files are not there, or its name is not known."""


class _Annotations(Protocol):
    """Where images and annotations are read from, one by one."""

    path: Path

    def images(self) -> Iterator[dict[str, Any]]: ...

    def annotations(self) -> Iterator[dict[str, Any]]: ...

    def categories(self) -> dict[int, str]: ...


def load_benchmark(
    name: str,
    images_dir: str | os.PathLike[str] | None = None,
    annotations: str | os.PathLike[str] | None = None,
    dataset_name: str | None = None,
) -> fo.Dataset:
    """Loads one of the paper's benchmarks as a dataset with a field `ground_truth`.

    The ground truth has the one class `object`; where the file knows classes, a label's is its
    attribute `category`. COCO's image ids, boxes, areas and crowds are kept for the evaluation.
    Images that are missing are left out and listed in `dataset.info["missing_images"]`. The
    annotation file is streamed.

    Args:
        name: coco2017, coco20k, lvis, kitti, objects365 or sa1b.
        images_dir: the folder of the images, or the one above it. Only for coco2017 both this
            and `annotations` may be left out: FiftyOne's zoo then downloads them.
        annotations: the COCO file of `BENCHMARKS[name].annotations`, or another of these images;
            for sa1b also a folder of SA-1B's own files.
        dataset_name: name of the dataset; by default the benchmark's.

    Returns:
        the dataset, which is not persistent.

    Raises:
        BenchmarkError: the name is not known, the dataset exists, or files are missing.
        CocoError: something in the annotation file is wrong.

    Examples:
        >>> import fiftyone_promerge as fop
        >>> dataset = fop.load_benchmark(
        ...     "coco2017", images_dir="val2017", annotations="instances_val2017.json"
        ... )
        >>> len(dataset), dataset.first().ground_truth.detections[0].category
        (2, 'cat')
    """
    if name not in BENCHMARKS:
        raise BenchmarkError(f"There is no benchmark '{name}': choose from {', '.join(BENCHMARKS)}")
    dataset_name = dataset_name or name
    if fo.dataset_exists(dataset_name):
        raise BenchmarkError(f"A dataset '{dataset_name}' exists already: choose another name")
    if BENCHMARKS[name].is_downloaded and images_dir is None and annotations is None:
        images_dir, annotations = _download_coco2017()
    folder, source = _source(name, images_dir, annotations)
    dataset = fo.Dataset(dataset_name)
    try:
        _fill(dataset, name, folder, source)
    except BaseException:
        dataset.delete()
        raise
    return dataset


def _download_coco2017() -> tuple[Path, Path]:
    _, folder = foz.download_zoo_dataset("coco-2017", split="validation")
    split = Path(folder)
    if split.name != "validation":
        split = split / "validation"
    return split / "data", split / "labels.json"


def _source(
    name: str,
    images_dir: str | os.PathLike[str] | None,
    annotations: str | os.PathLike[str] | None,
) -> tuple[Path, _Annotations]:
    if images_dir is None or annotations is None:
        raise BenchmarkError(f"images_dir and annotations are both needed. {where_to_get(name)}")
    folder, path = Path(images_dir), Path(annotations)
    if not folder.is_dir():
        raise BenchmarkError(f"There is no folder {folder}. {where_to_get(name)}")
    if path.is_dir() and name == "sa1b":
        return folder, Sa1bFolder(path)
    if not path.is_file():
        raise BenchmarkError(f"There is no file {path}. {where_to_get(name)}")
    return folder, CocoFile(path)


def _fill(dataset: fo.Dataset, name: str, folder: Path, source: _Annotations) -> None:
    targets, missing = _add_images(dataset, name, folder, source)
    if not targets:
        raise BenchmarkError(
            f"None of the {len(missing)} images of {source.path} is in {folder}. "
            f"{where_to_get(name)}"
        )
    dataset.info = {"benchmark": name, "missing_images": missing}
    dataset.save()
    if missing:
        logger.warning(
            "%d of %d images are missing, first %s; all in dataset.info['missing_images']",
            len(missing),
            len(missing) + len(targets),
            missing[0],
        )
    categories = source.categories()
    with LabelWriter(dataset, GT_FIELD) as writer:
        for what, annotation in named_annotations(source.annotations(), source.path):
            target = targets.get(annotation["image_id"])
            if target is None:
                continue
            sample_id, size = target
            detection = annotation_to_detection(annotation, size, what)
            if categories:
                category = annotation.get("category_id")
                if category not in categories:
                    raise CocoError(f"{what} has a category_id that no category has: {category}")
                detection["category"] = categories[category]
            writer.add(sample_id, detection)
    dataset.reload()


def _add_images(
    dataset: fo.Dataset, name: str, folder: Path, source: _Annotations
) -> tuple[dict[int, tuple[str, ImageSize]], list[str]]:
    """Adds the images that are there; their targets by COCO id, and the names of the others."""
    folders = [folder, *(folder / sub for sub in BENCHMARKS[name].folders)]
    missing: list[str] = []
    ids = UniqueIds(f"Images of {source.path}")
    image_ids: list[int] = []
    sizes: list[ImageSize] = []

    def samples() -> Iterator[fo.Sample]:
        for image in source.images():
            ids.add(image["id"])
            check_image(image, source.path)
            file_name = _safe_name(image, source.path)
            path = _find(folders, file_name)
            text = file_name.encode(errors="backslashreplace").decode()
            # The database holds only text: a file whose name is not text cannot be in it.
            if path is None or text != file_name:
                missing.append(text)
                continue
            image_ids.append(image["id"])
            sizes.append(ImageSize(image["width"], image["height"]))
            yield fo.Sample(
                filepath=str(path),
                metadata=fo.ImageMetadata(width=image["width"], height=image["height"]),
                **{IMAGE_ID_FIELD: image["id"]},
            )

    sample_ids = dataset.add_samples(samples(), num_samples=0, progress=False)
    ids.check()
    return dict(zip(image_ids, zip(sample_ids, sizes, strict=True), strict=True)), missing


def _safe_name(image: dict[str, Any], path: Path) -> str:
    """The image's relative path, which must not lead out of the folder of images."""
    # LVIS has no file names, but its URLs end in COCO's.
    name = image.get("file_name") or str(image.get("coco_url", "")).rpartition("/")[2]
    if not isinstance(name, str):
        raise CocoError(f"{path}: image {image['id']} has the file_name {shown(name)}: no text")
    normal = Path(os.path.normpath(name))
    if not name or normal.is_absolute() or normal.parts[:1] in ((), (os.pardir,)):
        raise CocoError(
            f"{path}: image {image['id']} has the path {shown(name)} outside images_dir"
        )
    return str(normal)


def _find(folders: list[Path], file_name: str) -> Path | None:
    """The first place where the image is, under its path or its bare name."""
    base = Path(file_name).name
    places = [folders[0] / file_name, *(folder / base for folder in folders)]
    # A name that is too long for a file is that of none; Path.is_file raises an error there.
    return next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113
