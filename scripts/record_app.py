"""Records the README's animation from the real App: operator, masks, inspector.

python scripts/record_app.py docs/images/app.gif

It needs Chromium and the extra `dev`, and drives the App as the tests in tests/e2e do.
"""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 960
COLOURS = 128
DRAWING_MS = 8000
DATASET = "photos"


def driver() -> ModuleType:
    """The module of the tests that starts and drives the App."""
    spec = importlib.util.spec_from_file_location("driver", ROOT / "tests" / "e2e" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Film:
    """Pictures of a page, each with the time that it is shown.

    Args:
        page: the page of the browser.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.pictures: list[Image.Image] = []
        self.milliseconds: list[int] = []

    def shoot(self, seconds: float) -> None:
        """Takes a picture of the page, to be shown for some seconds."""
        self.page.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        height = round(WIDTH * picture.height / picture.width)
        self.pictures.append(picture.resize((WIDTH, height), Image.Resampling.LANCZOS))
        self.milliseconds.append(round(1000 * seconds))

    def save(self, path: Path) -> None:
        """Writes the film as an animated GIF."""
        reduced = [
            one.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            for one in self.pictures
        ]
        reduced[0].save(
            path,
            save_all=True,
            append_images=reduced[1:],
            duration=self.milliseconds,
            loop=0,
            optimize=True,
        )


def record(app: Any, film: Film, dataset: Any) -> None:
    """Makes masks with the operator, opens a photo, and walks through the inspector.

    Args:
        app: the App, driven.
        film: takes the pictures.
        dataset: the dataset of photos that the App shows.
    """
    app.page.wait_for_timeout(DRAWING_MS)
    film.shoot(1.5)
    app.find_operators("ProMerge")
    film.shoot(1.5)
    app.cy("operators-browser").get_by_text("Generate masks (ProMerge)", exact=True).click()
    app.prompt.get_by_role("button", name="Execute").wait_for()
    app.fill("Backbone", "embedded")
    film.shoot(2.5)
    app.execute()
    app.page.get_by_text(re.compile(r"Segmenting: \d")).first.wait_for()
    film.shoot(1.0)
    app.output()
    app.page.wait_for_timeout(DRAWING_MS)
    film.shoot(2.5)
    coffee = next(one for one in dataset if "coffee" in one.filepath)
    app.open_sample(dataset, coffee.id)
    panel = app.open_panel("promerge_inspector", ".js-plotly-plot >> nth=1", within="#modal")
    film.shoot(2.5)
    for step in ("Background", "Pruning", "Merging", "Refinement"):
        panel.get_by_role("tab", name=step).click()
        panel.locator(".js-plotly-plot").first.wait_for()
        app.page.wait_for_timeout(2500)
        film.shoot(2.5)


def main(output: Path) -> None:
    """Records the film on a dataset of the demo's photos, which is deleted afterwards."""
    import fiftyone as fo
    from playwright.sync_api import sync_playwright

    from fiftyone_promerge.demo import demo_photos

    if fo.dataset_exists(DATASET):
        sys.exit(f"there is a dataset {DATASET!r}: set FIFTYONE_DATABASE_NAME to another database")
    folder = Path(tempfile.mkdtemp())
    (folder / "photos").mkdir()
    for photo in demo_photos():
        shutil.copy(photo, folder / "photos")
    dataset = fo.Dataset.from_images_dir(str(folder / "photos"), name=DATASET)
    dataset.persistent = True
    dataset.compute_metadata(progress=False)
    drive = driver()
    (folder / "plugins").mkdir()
    (folder / "plugins" / "promerge").symlink_to(ROOT, target_is_directory=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = drive.Server(port, folder / "plugins", folder / "server.log")
    try:
        server.wait()
        with sync_playwright() as playwright:
            chromium = next(filter(None, map(shutil.which, drive.CHROMIUMS)))
            browser = playwright.chromium.launch(
                executable_path=chromium, args=drive.CHROMIUM_FLAGS
            )
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.set_default_timeout(drive.WAIT_MS)
            page.add_init_script("localStorage.setItem('fiftyone-enterprise-tooltip-seen', 'true')")
            app, film = drive.App(page, server), Film(page)
            app.open(DATASET)
            record(app, film, dataset)
            film.save(output)
            browser.close()
    finally:
        server.stop()
        dataset.delete()
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB, {len(film.pictures)} pictures")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
