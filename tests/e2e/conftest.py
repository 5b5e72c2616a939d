"""A real FiftyOne App of the tests' own, open in a real browser.

Without Chromium or Playwright the tests are skipped; with PROMERGE_E2E=require they fail.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from skimage import data
from skimage.io import imsave
from skimage.transform import resize

if TYPE_CHECKING:
    import fiftyone as fo
    from playwright.sync_api import Browser, Locator, LocatorAssertions, Page, Request

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
WAIT_MS = 120_000
PANEL_ATTEMPTS = 10
PAGE = pytest.StashKey["Page"]()
RUN = re.compile("^(Execute|Schedule)$")
"""The button of a form; which one it is at first depends on the operator."""

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # Whatever is not on this machine does not exist for the App.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium; without it, or without Playwright, there is nothing to do."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        _missing("there is no Chromium; on Debian: apt-get install chromium")
    if importlib.util.find_spec("playwright") is None:
        _missing("Playwright is not installed; pip install 'fiftyone-promerge[dev]'")
    return str(found)


# Of a module and not of the session: while Playwright runs, this process has an event loop, and
# whatever calls asyncio.run, as FiftyOne's operators do, would fail in all tests after these.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def _missing(what: str) -> None:
    if os.environ.get("PROMERGE_E2E") == "require":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="module")
def expect(browser: Browser) -> Callable[[Locator], LocatorAssertions]:
    """Playwright's assertions, which wait until they hold."""
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    return expect


@pytest.fixture(scope="session")
def server(
    chromium: str,
    database: str,
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """FiftyOne's App server in a process of its own, with this plugin installed."""
    home = tmp_path_factory.mktemp("app")
    plugins = home / "plugins"
    plugins.mkdir()
    (plugins / "promerge").symlink_to(ROOT, target_is_directory=True)
    server = Server(free_port(), plugins, home / "server.log")
    try:
        server.wait()
        yield server
    finally:
        server.stop()


class Server:
    """FiftyOne's App server.

    Args:
        port: where it listens, on this machine alone.
        plugins: its folder of plugins.
        log: the file for what it prints.

    Attributes:
        environment: what it was started with, for other processes of the same FiftyOne.
    """

    def __init__(self, port: int, plugins: Path, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        command = [sys.executable, "-m", "fiftyone.server.main", "--port", str(port)]
        self.environment = {
            **os.environ,
            "FIFTYONE_PLUGINS_DIR": str(plugins),
            "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",  # as `promerge app` sets it
            "OMP_NUM_THREADS": "1",
        }
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*command, "--address", "127.0.0.1"],
                env=self.environment,
                stdout=out,
                stderr=out,
            )

    def wait(self) -> None:
        """Returns when it answers."""
        for _ in range(600):
            assert self._process.poll() is None, self.log.read_text()
            try:
                urllib.request.urlopen(self.url, timeout=10)
                return
            except urllib.error.URLError:
                time.sleep(0.1)
        raise TimeoutError(f"the App's server does not answer: {self.log.read_text()}")

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small photos."""
    folder = tmp_path_factory.mktemp("photos")
    for name in PHOTOS:
        image = resize(getattr(data, name)(), (240, 320), anti_aliasing=True)
        imsave(folder / f"{name}.jpg", (image * 255).round().astype("uint8"))
    return folder


@pytest.fixture
def dataset(database: str, photos: Path) -> Iterator[fo.Dataset]:
    """A persistent dataset of the photos, deleted after the test."""
    import fiftyone as fo

    dataset = fo.Dataset.from_images_dir(str(photos), name=f"photos-{uuid.uuid4().hex[:8]}")
    dataset.persistent = True
    yield dataset
    dataset.delete()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty page of a browser that was never used before."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    context.set_default_timeout(WAIT_MS)
    # FiftyOne's advertisement would lie above the samples.
    context.add_init_script("localStorage.setItem('fiftyone-enterprise-tooltip-seen', 'true')")
    request.node.stash[PAGE] = page = context.new_page()
    yield page
    context.close()


@pytest.fixture
def app_at(page: Page, server: Server) -> Callable[[fo.Dataset], App]:
    """Opens the App at a dataset."""

    def open_app(dataset: fo.Dataset) -> App:
        app = App(page, server)
        app.open(dataset.name)
        return app

    return open_app


@pytest.fixture
def app(app_at: Callable[[fo.Dataset], App], dataset: fo.Dataset) -> App:
    """The App, showing the dataset of photos."""
    return app_at(dataset)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Adds what the browser showed to the report of a failure."""
    report = yield
    if report.failed and report.when != "teardown" and PAGE in item.stash:
        picture = item.config.rootpath / "build" / "e2e" / f"{item.name}.png"
        item.stash[PAGE].screenshot(path=picture)
        report.sections.append(("what the browser showed", str(picture)))
    return report


class App:
    """What a person does in the App.

    Args:
        page: a page of the browser.
        server: the App's server.

    Attributes:
        prompt: the form, and then the output, of an operator.
    """

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.prompt = self.cy("operators-prompt-modal")
        self._unanswered: set[Request] = set()
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)

    def open(self, dataset_name: str, view: str | None = None) -> None:
        """Shows a dataset or a saved view of it; returns when its samples are there."""
        query = "" if view is None else f"?view={view}"
        self.page.goto(f"{self.server.url}/datasets/{dataset_name}{query}")
        self.cy("looker").first.wait_for()

    def cy(self, name: str) -> Locator:
        """The elements that FiftyOne names like this for its own tests."""
        return self.page.locator(f'[data-cy="{name}"]')

    def find_operators(self, words: str) -> Locator:
        """Opens the operator browser by its key and searches; the list of what is found."""
        self.page.keyboard.press("`")
        self.cy("operators-browser-search").fill(words)
        return self.cy("operators-browser")

    def open_operator(self, label: str) -> None:
        """Opens the form of the operator with this label."""
        self.find_operators(label).get_by_text(label, exact=True).click()
        self.prompt.get_by_role("button", name=RUN).wait_for()
        self.settle()

    def settle(self) -> None:
        """Returns when the server has answered the form, and nothing more is asked for a second.

        What is typed while the answer to something older is under way, that answer replaces.
        """
        quiet = 0
        while quiet < 10:
            self.page.wait_for_timeout(100)
            quiet = 0 if self._unanswered else quiet + 1

    def _asked(self, request: Request) -> None:
        if "/operators/resolve" in request.url:
            self._unanswered.add(request)

    def _answered(self, request: Request) -> None:
        self._unanswered.discard(request)

    def field(self, label: str) -> Locator:
        """The input below a label of the form."""
        return self.prompt.locator(f'xpath=.//p[normalize-space()="{label}"]/following::input[1]')

    def fill(self, label: str, value: str) -> None:
        """Types a value into a field of the form and leaves the field."""
        self.field(label).fill(value)
        self.field(label).press("Tab")

    def open_section(self, label: str) -> None:
        """Shows what stands below a heading of the form."""
        self.prompt.get_by_role("button", name=label).click()

    def execute(self) -> None:
        """Presses the form's button as soon as the form is valid."""
        self.prompt.get_by_role("button", name="Execute").click()

    def output(self) -> str:
        """Waits for the end of the operator; the text of its output, which is then closed."""
        self.prompt.wait_for(state="detached")
        done = self.page.get_by_role("button", name="Done")
        done.wait_for()
        # While the run is under way there is a button that stops it.
        self.page.get_by_role("dialog").get_by_role("button", name="Stop").wait_for(
            state="detached"
        )
        dialog = self.page.get_by_role("dialog").filter(has=done)
        text = dialog.inner_text()
        done.click()
        return text

    def open_sample(self, dataset: fo.Dataset, sample_id: str) -> None:
        """Shows one sample of a dataset alone; returns when its image is drawn."""
        with self.page.expect_response(lambda response: response.url.endswith("/operators")):
            self.page.goto(f"{self.server.url}/datasets/{dataset.name}?id={sample_id}")
        self.page.locator('#modal canvas[canvas-loaded="true"]').wait_for()

    def open_panel(self, name: str, shows: str, within: str = "body") -> Locator:
        """Opens the panel of this name, in the whole App or in a part of it; its content.

        Returns when the content has an element of the CSS selector `shows`.
        """
        from playwright.sync_api import TimeoutError as NotInTime

        part = self.page.locator(within)
        tabs = part.locator('[data-cy^="panel-tab-"]')
        tab = part.locator(f'[data-cy="panel-tab-{name}"]')
        add = part.locator('[data-cy="new-panel-btn"]').first
        # Beside a sample FiftyOne opens a plugin's panel itself, if it knows of it in time.
        tab.or_(add).first.wait_for()
        if not tab.is_visible():
            add.click()
            self.cy(f"new-panel-option-{name}").click()
        content = part.locator(f'[data-cy="panel-content-{name}"]')
        # While FiftyOne lays out a page it may forget a click on a tab.
        for _ in range(PANEL_ATTEMPTS):
            tab.click()
            try:
                content.locator(shows).first.wait_for(timeout=WAIT_MS / PANEL_ATTEMPTS)
                return content
            except NotInTime:
                tabs.first.click()
        raise AssertionError(f"the panel {name} shows no {shows}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser on a busy machine may forget a click: what fails here is tried once more."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))
