"""Fixtures for operators: the plugin as FiftyOne registers it, and a few photos."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from skimage import data
from skimage.io import imsave
from skimage.transform import resize

ROOT = Path(__file__).resolve().parents[2]
URI = "@promerge/promerge/"


@pytest.fixture(scope="session", autouse=True)
def own_database(database):
    """Whatever imports FiftyOne first, in whatever order tests run, finds the tests' database."""


@pytest.fixture(scope="session")
def plugin(database):
    """FiftyOne's plugins folder with this plugin in it."""
    folder = Path(os.environ["FIFTYONE_PLUGINS_DIR"])
    folder.mkdir(exist_ok=True)
    link = folder / "promerge"
    if not link.exists():
        link.symlink_to(ROOT)
    return link


@pytest.fixture(scope="session")
def photo_files(tmp_path_factory):
    """Four small photos."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        image = resize(getattr(data, name)(), (120, 160), anti_aliasing=True)
        imsave(folder / f"{name}.jpg", (image * 255).astype("uint8"))
    return sorted(folder.iterdir())


@pytest.fixture
def photos(make_dataset, photo_files):
    """A dataset of four small photos, each with a label of another field."""
    import fiftyone as fo

    dataset = make_dataset()
    dataset.add_samples(
        fo.Sample(filepath=str(path), tags=["kept"], note=fo.Classification(label=path.stem))
        for path in photo_files
    )
    return dataset


@pytest.fixture
def gate(monkeypatch):
    """Holds every run of this process at the end of its first batch until it is set."""
    from promerge_core.generator import MaskGenerator

    gate, generate = threading.Event(), MaskGenerator.generate_prepared

    def held(generator, images, **options):
        found = generate(generator, images, **options)
        gate.wait()
        return found

    monkeypatch.setattr(MaskGenerator, "generate_prepared", held)
    yield gate
    gate.set()


@pytest.fixture
def app(plugin, monkeypatch):
    """What the App asks of the server, without the App: `App.form`, `.stream` and `.shown`."""
    import fiftyone as fo

    # As in the server: each request has a dataset object of its own, which no other one reloads.
    monkeypatch.setattr(fo.config, "singleton_cache", False)
    return App()


class App:
    """The requests that FiftyOne's App sends for an operator of ours.

    Attributes:
        QUICK: parameters of `generate_masks` that make masks in a second.
    """

    QUICK: ClassVar = {"backbone": "embedded", "image_size": 240, "batch_size": 1, "num_workers": 0}

    def request(self, name, dataset, params, **more):
        return {
            "operator_uri": URI + name,
            "dataset_name": dataset.name,
            "view": dataset.view()._serialize(),
            "params": params,
            **more,
        }

    def form(self, name, dataset, params=None, **more):
        """The form's properties by name."""
        from fiftyone.operators.executor import resolve_type
        from fiftyone.operators.permissions import PermissionedOperatorRegistry

        async def resolve():
            registry = await PermissionedOperatorRegistry.from_exec_request(None, dataset_ids=[])
            request = self.request(name, dataset, params or {}, target="inputs", **more)
            return await resolve_type(registry, URI + name, request)

        resolved = asyncio.run(resolve())
        dataset.reload()
        return {} if resolved is None else self.flat(resolved.to_json()["type"]["properties"])

    def flat(self, properties):
        """The properties by name, those of sections among them."""
        found = {}
        for name, one in properties.items():
            found[name] = one
            found |= self.flat(one["type"].get("properties") or {})
        return found

    def wrong(self, form):
        """The properties that a form marks, and what it says of them."""
        return {name: p["error_message"] for name, p in form.items() if p["invalid"]}

    def stream(self, name, dataset, params=None, **more):
        """The messages of an execution, one after the other; the result where it sends none."""
        from fiftyone.operators.executor import execute_or_delegate_operator

        request = self.request(name, dataset, params or {}, **more)
        loop = asyncio.new_event_loop()
        done = loop.run_until_complete(execute_or_delegate_operator(URI + name, request))
        assert done.error is None, done.error
        if done.is_generator:
            return Stream(loop, done.result, dataset)
        dataset.reload()
        return done.result

    def run(self, name, dataset, params=None, **more):
        """All invocations that the App is asked for, and the result."""
        return self.read(self.stream(name, dataset, params, **more))

    def progress(self, invoked):
        """What the App was asked to show of the progress: (fraction, line), one after another."""
        shown = [params for name, params in invoked if name.endswith("show_output")]
        return [
            (params["results"]["progress"], self.label(params))
            for params in shown
            if "progress" in params["results"]
        ]

    def label(self, params):
        """The line of one progress that is shown; empty where something else is."""
        progress = params["outputs"]["type"]["properties"].get("progress")
        return progress["view"]["label"] if progress else ""

    def shown(self, invoked):
        """The properties of the output that the App is asked to show, by name."""
        (name, params) = invoked[-1]
        assert name.endswith("show_output")
        return params["outputs"]["type"]["properties"]

    def read(self, stream):
        """The operators that a stream asks the App to invoke, (name, params), and the result."""
        invoked, result = [], None
        for message in stream:
            body = message.to_json()["body"]
            if "operator_uri" in body:
                invoked.append((body["operator_uri"], body["params"]))
            else:
                result = body["result"]
        return invoked, result


class Stream:
    """An execution's messages, as the server reads them; then the dataset is reloaded."""

    def __init__(self, loop, messages, dataset):
        self._loop = loop
        self._messages = messages
        self._dataset = dataset

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self._loop.run_until_complete(anext(self._messages))
        except StopAsyncIteration:
            self._dataset.reload()
            raise StopIteration from None

    def leave(self):
        """What the server does when the page is gone: it cancels its wait for a message."""

        async def read():
            async for _ in self._messages:
                pass

        async def leave():
            task = asyncio.create_task(read())
            await asyncio.sleep(0.1)
            assert not task.done()
            task.cancel()

        self._loop.run_until_complete(leave())
