"""Image files -> one COCO json of masks, in a run that can be stopped and resumed."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import DataLoader, Dataset

from promerge_core.errors import CocoError
from promerge_core.generator import MaskMaker
from promerge_core.images import ImageError, SkippedImage, open_image

from .coco_file import CocoFile
from .coco_json import ImageRow, image_row, row_fault, skipped_row, summarise, write_coco
from .locks import check_regular, hold
from .sources import MADE, ImageEntry, Likeness, RunError, compare_runs, none_readable, run_identity
from .summary import Summary, read_summary

_BEGUN = {
    "other": "other images or settings",
    "files changed": "files of the same names that lie elsewhere or have changed since",
}


class CocoRun:
    """Segments images batch by batch and writes their masks as one COCO json.

    Each finished batch is one line of a journal beside the output. A run that is stopped loses at
    most the batch it was in; the next one continues after the journal's last line, with the same
    batches, and ends with the same file as an undisturbed run. The journal is removed when the
    output is complete. As long as a run works it holds a lock on both, which dies with its process.

    What a run is stands in the header of both: its settings, the ids and names of its images, and
    where their files are, their sizes and times. Headers of earlier versions lack the files. Such a
    journal is continued, since else its work would be lost. Such an output is refused: whether it
    is stale cannot be known, and it stays as it is.

    Args:
        generator: makes the masks.
        entries: the images, in the order of the run.
        output: the json to write; a link stands for the file that it leads to.
        settings: what else decides the result (backbone, weights, ...), for the `info` of the json.
        batch_size: images in a batch of the backbone.

    Raises:
        RunError: the output or its journal is a device, a FIFO, a socket or a folder.
    """

    def __init__(
        self,
        generator: MaskMaker,
        entries: Sequence[ImageEntry],
        output: Path,
        settings: dict[str, Any],
        batch_size: int = 8,
    ) -> None:
        self._generator = generator
        self._batches = [
            entries[start : start + batch_size] for start in range(0, len(entries), batch_size)
        ]
        check_regular(output)
        self._output = Path(os.path.realpath(output))
        self._journal = self._output.with_name(self._output.name + ".partial")
        check_regular(self._journal)
        self._replaces = False
        self._header = {
            **settings,
            "parameters": generator.parameters,
            "batch_size": batch_size,
            **run_identity(entries),
        }

    def discard(self) -> None:
        """Makes the run begin anew: what an earlier one did is not continued.

        Its journal is removed at once. The output, whoever made it, stays as it is until this run
        is complete and replaces it.

        Raises:
            RunError: another process is writing it, or what stands in the journal's place is none.
        """
        with hold(self._output):
            self._check_journal()
            self._journal.unlink(missing_ok=True)
        self._replaces = True

    def is_complete(self) -> bool:
        """Whether the output is there and was made by this very run.

        Raises:
            RunError: it is there, and was made by another one; or another process is writing it.
        """
        if not self._is_made():
            return False
        if self._journal.exists():
            with hold(self._output):
                self._check_journal()
                self._journal.unlink(missing_ok=True)
        return True

    def _is_made(self) -> bool:
        """Whether the output is there; RunError where another run, or no run, made it."""
        if self._replaces or not self._output.exists():
            return False
        likeness = compare_runs(_read_info(self._output).get("run"), self._header)
        if likeness != "same":
            raise RunError(
                f"{self._output} exists and was made {MADE[likeness]}; "
                f"choose another file, or overwrite it"
            )
        return True

    def read_summary(self) -> Summary:
        """Counts of the complete run that made the output.

        Raises:
            RunError: it does not say them.
        """
        return read_summary(_read_info(self._output), self._output)

    def run(self, num_workers: int = 0, progress: Callable[[int], object] | None = None) -> Summary:
        """Does the batches that are not done yet and writes the output.

        Args:
            num_workers: processes that read images.
            progress: called with the number of images that have just been done.

        Returns:
            counts over all images, those of earlier runs included; seconds are this run's.

        Raises:
            RunError: the output or the journal belongs to another run or is being written by
                another process, no image can be read, or nothing can be written; what was done is
                kept.
        """
        try:
            with hold(self._output):
                if self.is_complete():
                    return self.read_summary()
                summary = self._run(num_workers, progress)
                self._journal.unlink()
        except OSError as error:
            raise RunError(
                f"{error.filename or self._output} cannot be written: {error.strerror}; "
                f"what was done is kept, and the same run continues from there"
            ) from error
        if not summary.images:
            raise none_readable(summary.skipped)
        return summary

    def _run(self, num_workers: int, progress: Callable[[int], object] | None) -> Summary:
        done = self._batches_done()
        try:
            with self._journal.open("a", encoding="utf-8") as journal:
                if not journal.tell():
                    journal.write(json.dumps(self._header) + "\n")
                    journal.flush()
                if progress is not None:
                    progress(sum(map(len, self._batches[:done])))
                for batch, images in self._load(self._batches[done:], num_workers):
                    line = self._segment(batch, images)
                    journal.write(json.dumps(line) + "\n")
                    journal.flush()
                    done += 1
                    if progress is not None:
                        progress(len(batch))
        finally:
            if not done:
                self._journal.unlink(missing_ok=True)
        self._is_made()  # raises where another file has come to stand there meanwhile
        summary = summarise(self._rows())
        if summary.images:
            write_coco(self._output, self._header, self._rows)
            self._replaces = False
        summary.seconds = dict(self._generator.timer.seconds)
        return summary

    def _batches_done(self) -> int:
        """Number of batches in the journal, which is cut off after the last one that is whole."""
        if not self._journal.exists():
            return 0
        with self._journal.open("r+b") as journal:
            header = journal.readline()
            if (json.dumps(self._header) + "\n").encode().startswith(header):
                likeness: Likeness = "same"
            else:
                likeness = compare_runs(_parse(header), self._header)
            if likeness not in ("same", "files unknown"):
                raise RunError(
                    f"{self._journal} was begun with {_BEGUN[likeness]}; finish that run, "
                    f"choose another output, or overwrite it"
                )
            end = journal.tell() if header.endswith(b"\n") else 0
            done = 0
            while end and done < len(self._batches):
                line = journal.readline()
                if not (line.endswith(b"\n") and _holds(line, self._batches[done])):
                    break
                end, done = journal.tell(), done + 1
            journal.truncate(end)
        return done

    def _check_journal(self) -> None:
        """Raises RunError where a file stands in the journal's place that no run of ours wrote."""
        if not self._journal.exists():
            return
        with self._journal.open("rb") as journal:
            header = journal.readline()
        known = _parse(header)
        if header and not (isinstance(known, dict) and known.keys() >= {"parameters", "images"}):
            raise RunError(
                f"{self._journal} is no journal of a run, and a run would write it; rename or "
                f"delete it, or choose another output"
            )

    def _load(
        self, batches: Sequence[Sequence[ImageEntry]], num_workers: int
    ) -> Iterator[tuple[Sequence[ImageEntry], list[Any]]]:
        entries = list(itertools.chain.from_iterable(batches))
        loader: Iterable[Any] = DataLoader(
            _ImageFiles(entries, self._generator.preparation),
            batch_sampler=_consecutive(batches),
            num_workers=num_workers,
            collate_fn=list,
        )
        return zip(batches, loader, strict=True)

    def _segment(self, batch: Sequence[ImageEntry], images: list[Any]) -> list[ImageRow]:
        readable = [image for image in images if not isinstance(image, SkippedImage)]
        results = iter(self._generator.generate_prepared(readable))
        return [
            skipped_row(entry.id, entry.file_name, image.why)
            if isinstance(image, SkippedImage)
            else image_row(entry.id, entry.file_name, next(results))
            for entry, image in zip(batch, images, strict=True)
        ]

    def _rows(self) -> Iterator[ImageRow]:
        with self._journal.open(encoding="utf-8") as lines:
            for line in itertools.islice(lines, 1, None):
                yield from json.loads(line)


class _ImageFiles(Dataset[Any]):
    """Reads and prepares image files; one that cannot be read is a `SkippedImage`."""

    def __init__(
        self, entries: Sequence[ImageEntry], prepare: Callable[[Image.Image], Any]
    ) -> None:
        self._paths = [str(entry.path) for entry in entries]
        self._prepare = prepare

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Any:
        path = self._paths[index]
        try:
            return self._prepare(open_image(path))
        except ImageError as error:
            return SkippedImage(path, str(error))


def _consecutive(batches: Sequence[Sequence[ImageEntry]]) -> list[list[int]]:
    ends = itertools.accumulate(map(len, batches))
    return [list(range(end - len(batch), end)) for end, batch in zip(ends, batches, strict=False)]


def _parse(line: bytes) -> Any:
    """What a line of a journal says; None where it is none of ours."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _holds(line: bytes, batch: Sequence[ImageEntry]) -> bool:
    """Whether a line of a journal holds the rows of a batch."""
    rows = _parse(line)
    if not isinstance(rows, list) or any(row_fault(row) is not None for row in rows):
        return False
    return [(row["id"], row["file_name"]) for row in rows] == [(e.id, e.file_name) for e in batch]


def _read_info(output: Path) -> dict[str, Any]:
    """The `info` of an output; empty where the file was not made here."""
    try:
        return CocoFile(output).info()
    except CocoError:
        return {}
