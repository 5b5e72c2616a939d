"""SA-1B as it is distributed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fiftyone_promerge.coco.annotations import CocoError


class Sa1bFolder:
    """SA-1B as it is distributed: one json per image, in a folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def images(self) -> Iterator[dict[str, Any]]:
        """Every image, with COCO's keys."""
        for path, content in self._files():
            yield _image(path, content) | {"id": content["image"]["image_id"]}

    def annotations(self) -> Iterator[dict[str, Any]]:
        """Every annotation, with COCO's keys."""
        for path, content in self._files():
            image_id = _image(path, content)["image_id"]
            for annotation in content["annotations"]:
                if not isinstance(annotation, dict) or "id" not in annotation:
                    raise CocoError(f"an annotation of {path} has no id")
                yield annotation | {"image_id": image_id}

    def categories(self) -> dict[int, str]:
        """None: SA-1B has no classes."""
        return {}

    def _files(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in sorted(self.path.glob("*.json")):
            try:
                content = json.loads(path.read_bytes())
            except (ValueError, RecursionError) as error:
                raise CocoError(f"{path} is not valid JSON: {error}") from error
            if not isinstance(content, dict) or not {"image", "annotations"} <= content.keys():
                raise CocoError(f"{path} is not an SA-1B file: it has no image and annotations")
            if not isinstance(content["annotations"], list):
                raise CocoError(f"{path} is not an SA-1B file: its annotations are no list")
            yield path, content


def _image(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """What a file says of its image."""
    image = content["image"]
    if not isinstance(image, dict) or "image_id" not in image:
        raise CocoError(f"the image of {path} has no image_id")
    return image
