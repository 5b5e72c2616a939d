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
        for content in self._files():
            yield content["image"] | {"id": content["image"]["image_id"]}

    def annotations(self) -> Iterator[dict[str, Any]]:
        """Every annotation, with COCO's keys."""
        for content in self._files():
            for annotation in content["annotations"]:
                yield annotation | {"image_id": content["image"]["image_id"]}

    def categories(self) -> dict[int, str]:
        """None: SA-1B has no classes."""
        return {}

    def _files(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.path.glob("*.json")):
            try:
                content = json.loads(path.read_bytes())
            except ValueError as error:
                raise CocoError(f"{path} is not valid JSON: {error}") from error
            if not isinstance(content, dict) or not {"image", "annotations"} <= content.keys():
                raise CocoError(f"{path} is not an SA-1B file: it has no image and annotations")
            yield content
