"""A folder of Parquet shards: the masks of a run over more images than one file should hold."""

from __future__ import annotations

import contextlib
import json
import math
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from promerge_core.errors import MissingExtraError

from . import locks
from .coco_json import ImageRow
from .shard_rows import (
    SCHEMA,
    damaged,
    is_run,
    is_shard,
    read_rows,
    run_digest,
    shard_index,
    shard_name,
)
from .sources import MADE, RunError, compare_runs, is_url
from .storage import open_location
from .summary import Summary, read_summary

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as pds
    import pyarrow.parquet as pq
    from pyarrow import fs
except ImportError as error:
    raise MissingExtraError("shards need pyarrow: pip install 'fiftyone-promerge[ray]'") from error

# Readers of Parquet pass over what begins with an underscore.
_RUN, _INDEX, _DRAFTS = "run.json", "index.json", "_promerge-drafts"


class ShardFolder:
    """The shards of one run, in a local folder or at a URL.

    A shard holds a fixed block of the run's images, in their order, so what is missing can be seen
    from the names of the files alone. A file is written under another name and then moved: what
    has a shard's name is whole. Writing a shard again replaces it by the same content.

    In a local folder a run holds a lock while it works, and a second one ends at once. At a URL
    nothing can be locked. There two runs with the same settings write the same shards, each of them
    whole; the one that ends first removes the drafts, which may end the other, and the same command
    continues it. Of two runs with other settings that begin in the same moment, one stops at its
    next shard. Each shard says which run it is of, and that of another one is never read.

    - `run.json` says what the run is: its settings, where its images are and how many there are.
    - `shard-000000.parquet` and so on hold the rows; see `SCHEMA`.
    - `index.json` is there when all shards are: what the run did, and what each shard holds.

    Args:
        location: a local path or a URL.

    Raises:
        RunError: the URL cannot be opened.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self._filesystem, self._path = open_location(location)
        self._begun: dict[str, Any] | None = None

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Makes a local folder and holds its lock for as long as the block runs.

        Raises:
            RunError: another process holds it, or there can be no such folder.
        """
        if is_url(self.location):
            yield
            return
        with contextlib.ExitStack() as stack:
            try:
                Path(self._path).mkdir(parents=True, exist_ok=True)
                stack.enter_context(locks.hold(Path(self._path, _RUN)))
            except OSError as error:
                raise RunError(
                    f"{self.location} cannot be written: {error.strerror}; name another folder"
                ) from error
            yield

    def begin(self, run: dict[str, Any], root: str, images: int) -> None:
        """Makes the folder the run's own, whether the run is new or resumed.

        Args:
            run: what decides the masks, ready for JSON; `shard_size` is the images of a shard.
            root: the folder or URL that the images' names are relative to.
            images: the number of images.

        Raises:
            RunError: the folder holds the shards of another run.
        """
        known = self._known_run()
        self._check_others(is_new=known is None)
        likeness = "same" if known is None else compare_runs(known["run"], run)
        # What an earlier version began is continued, as a `CocoRun` does it.
        begun = likeness == "files unknown" and self._read_json(_INDEX) is None
        if likeness != "same" and not begun:
            raise RunError(
                f"{self.location} holds shards that were made {MADE[likeness]}; "
                f"choose another folder, or overwrite them"
            )
        self._filesystem.create_dir(f"{self._path}/{_DRAFTS}", recursive=True)
        # As it is read again: tuples are lists in JSON.
        self._begun = json.loads(json.dumps(run))
        self._write_json(_RUN, {"run": run, "root": root, "images": images})

    def _check_others(self, is_new: bool) -> None:
        """Raises RunError where files in the folder would be taken for this run's."""
        if self._read_json(_INDEX) is not None and is_new:
            raise self._not_ours(_INDEX)
        shards = sorted(filter(is_shard, self._names())) if is_new else []
        if shards:
            raise RunError(
                f"{self.location} holds {shards[0]} and no {_RUN}, which says what run it is of; "
                f"choose another folder, or overwrite the shards"
            )

    def read_run(self) -> dict[str, Any]:
        """What `begin` was given: `run`, `root` and `images`.

        Raises:
            RunError: the folder holds no run.
        """
        known = self._known_run()
        if known is None:
            raise RunError(f"{self.location} holds no shards: there is no {_RUN}")
        return known

    def missing(self) -> list[int]:
        """Numbers of the shards that are not there yet."""
        present = self._names()
        return [number for number, name in enumerate(self._shard_names()) if name not in present]

    def write(self, number: int, rows: Sequence[ImageRow]) -> None:
        """Writes one shard; done twice, even at the same time, it leaves one.

        Args:
            number: which shard, from 0.
            rows: those of its images, in the run's order; see `shard_row` and `skipped_row`.

        Raises:
            RunError: another run began in the folder since this one did.
        """
        run = self._check_begun()
        name = shard_name(number)
        draft = f"{self._path}/{_DRAFTS}/{name}.{uuid.uuid4().hex}"
        table = pa.Table.from_pylist([{**row, "run": run} for row in rows], schema=SCHEMA)
        pq.write_table(table, draft, filesystem=self._filesystem, compression="zstd")
        self._filesystem.move(draft, f"{self._path}/{name}")

    def finish(self) -> Summary:
        """Writes the index once all shards are there, unless it is there already.

        Returns:
            counts over all images.

        Raises:
            RunError: a shard is missing or is another run's, or another run began in the folder
                since this one did.
        """
        self._check_begun()
        known = self._read_json(_INDEX)
        if known is None or self.missing():
            size = self.read_run()["run"]["shard_size"]
            known = shard_index(self.rows(with_masks=False), self._shard_names(), size)
            self._write_json(_INDEX, known)
        with contextlib.suppress(FileNotFoundError):  # the same run in another process ended first
            self._filesystem.delete_dir(f"{self._path}/{_DRAFTS}")
        return read_summary(known, f"{self.location}/{_INDEX}")

    def discard(self) -> None:
        """Removes what an earlier run left, and nothing else.

        Raises:
            RunError: what stands in the place of its description is none.
        """
        self._known_run()
        for name in self._names():
            if name in (_RUN, _INDEX) or is_shard(name):
                self._filesystem.delete_file(f"{self._path}/{name}")

    def rows(self, with_masks: bool = True) -> Iterator[ImageRow]:
        """The rows of all images in the run's order, read as a stream.

        Args:
            with_masks: whether to read the masks; without them, which is faster, `masks` is a list
                of as many None.

        Returns:
            an iterator over the rows that were written; only a few files are held in memory.

        Raises:
            RunError: a shard is missing, damaged or another run's.
        """
        known = self.read_run()
        missing = self.missing()
        if missing:
            raise RunError(
                f"{self.location} lacks {len(missing)} of its {len(self._shard_names())} shards; "
                f"the command that began it makes them"
            )
        paths = [f"{self._path}/{name}" for name in self._shard_names()]
        columns = {name: pc.field(name) for name in SCHEMA.names}
        if not with_masks:
            columns["masks"] = pc.list_value_length(pc.field("masks"))
        digest, count, last = run_digest(known["run"]), 0, None
        try:
            dataset = pds.dataset(
                paths, schema=SCHEMA, format="parquet", filesystem=self._filesystem
            )
            # A few files ahead hide an object store's latency and still need little memory.
            scanner = dataset.scanner(
                columns=columns, batch_size=1024, batch_readahead=2, fragment_readahead=4
            )
            for batch in scanner.scan_batches():
                for row in read_rows(batch.record_batch, batch.fragment.path, digest):
                    if last is not None and row["id"] <= last:
                        raise damaged(batch.fragment.path, "the ids of its images do not ascend")
                    yield row
                    count, last = count + 1, row["id"]
        except (pa.ArrowException, OSError) as error:
            raise damaged(self._unreadable(paths), f"{error!s:.200}".split("\n", 1)[0]) from error
        if count != known["images"]:
            raise RunError(
                f"{self.location} has {count} rows for {known['images']} images; delete "
                f"its shards, and the command that began the run makes them again"
            )

    def _unreadable(self, paths: list[str]) -> str:
        """The first of the shards that cannot be read."""
        for path in paths:
            try:
                pq.read_table(path, schema=SCHEMA, filesystem=self._filesystem)
            except (pa.ArrowException, OSError):
                return path
        return self.location

    def _check_begun(self) -> str:
        """The digest of the folder's run; RunError where it is not the one that began here."""
        known = self.read_run()["run"]
        if self._begun not in (None, known):
            raise RunError(
                f"another run began at {self.location} in the meantime, and this one has stopped; "
                f"choose another folder"
            )
        return run_digest(known)

    def _shard_names(self) -> list[str]:
        known = self.read_run()
        count = math.ceil(known["images"] / known["run"]["shard_size"])
        return [shard_name(number) for number in range(count)]

    def _names(self) -> set[str]:
        selector = fs.FileSelector(self._path, allow_not_found=True)
        return {info.base_name for info in self._filesystem.get_file_info(selector)}

    def _known_run(self) -> Any:
        known = self._read_json(_RUN)
        if known is not None and not is_run(known):
            raise self._not_ours(_RUN)
        return known

    def _not_ours(self, name: str) -> RunError:
        return RunError(
            f"{self.location}/{name} describes no shards: it is damaged, or another program's; "
            f"choose another folder, or delete it"
        )

    def _read_json(self, name: str) -> Any:
        """The content of a file of ours; None where it is not there."""
        try:
            with self._filesystem.open_input_file(f"{self._path}/{name}") as file:
                return json.loads(file.read())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise self._not_ours(name) from error

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        draft = f"{self._path}/{_DRAFTS}/{name}.{uuid.uuid4().hex}"
        with self._filesystem.open_output_stream(draft) as file:
            file.write(json.dumps(content, indent=1).encode())
        self._filesystem.move(draft, f"{self._path}/{name}")
