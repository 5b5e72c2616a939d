"""Parts that the operators' forms share, and the checks behind them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.fields as fof
import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.generation.generate import check_label_field
from promerge_core import PromergeError
from promerge_core.parameters import Config, spoken


class Form:
    """A form under construction; every value is checked while the person types.

    Args:
        ctx: the operator's context.

    Attributes:
        inputs: FiftyOne's description of the form.
        values: every value by name: what was given, else the default.
        valid: whether every check so far found nothing wrong.
    """

    def __init__(self, ctx: foo.ExecutionContext) -> None:
        self.inputs = types.Object()
        self.values: dict[str, Any] = {}
        self.valid = True
        self._params = ctx.params

    def check(self, name: str, check: Callable[[], Any]) -> bool:
        """Shows what `check` raises beside the property `name`; whether it raised nothing."""
        try:
            check()
        except PromergeError as error:
            given = self.inputs.get_property(name)
            given.invalid = True
            given.error_message = str(error)
            self.valid = False
            return False
        return True

    def is_given(self, names: Iterable[str]) -> bool:
        """Whether any of these values was given, and is not left to its default."""
        return any(self._params.get(name) is not None for name in names)

    def flag(self, name: str, default: bool = False, **options: Any) -> bool:
        """Asks yes or no."""
        self.inputs.bool(name, default=default, **options)
        return self._take(name, default)

    def number(self, name: str, default: int, low: int, high: int, **options: Any) -> int:
        """Asks for a whole number."""
        self.inputs.int(name, default=default, **options)
        value = self._take(name, default)
        self.check(name, lambda: _check_whole(spoken(name), value, low, high))
        return value

    def choice(
        self,
        name: str,
        values: Iterable[str],
        default: str | None = None,
        labels: dict[str, str] | None = None,
        **options: Any,
    ) -> Any:
        """Asks for one of several values."""
        values = list(values)
        view = types.RadioGroup() if len(values) < 4 else types.DropdownView()
        for value in values:
            view.add_choice(value, label=(labels or {}).get(value, value))
        self.inputs.enum(name, values, default=default, view=view, **options)
        return self._take(name, default)

    def text(
        self,
        name: str,
        default: str | None = None,
        suggestions: Sequence[str] = (),
        **options: Any,
    ) -> Any:
        """Asks for one line, and suggests values; None where nothing is given."""
        if suggestions:
            view = types.AutocompleteView(allow_user_input=True)
            for value in suggestions:
                view.add_choice(value, label=value)
            options["view"] = view
        self.inputs.str(name, default=default, **options)
        given = self._take(name, default)
        if not isinstance(given, str):
            return None
        self.values[name] = given.strip() or None
        return self.values[name]

    def parameters(self, config: type[Config], names: Iterable[str] | None = None) -> None:
        """Asks for parameters of a config (None: for all), with the ranges it declares."""
        declared = {one.name: one for one in config.parameters()}
        for name in declared if names is None else names:
            one = declared[name]
            options = {"default": one.default, "label": one.label, "description": one.help}
            if one.choices is not None:
                self.choice(name, one.choices, **options)
                continue
            ask = self.inputs.int if one.type is int else self.inputs.float
            ask(name, **options)
            self.check(name, functools.partial(one.check, self._take(name, one.default)))

    def property(self, label: str) -> types.Property:
        """The form, ready for `resolve_input`."""
        return types.Property(self.inputs, view=types.View(label=label))

    def _take(self, name: str, default: Any) -> Any:
        given = self._params.get(name)
        self.values[name] = default if given is None else given
        return self.values[name]


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise PromergeError(f"{name} must be a whole number between {low} and {high}; got {value}")


def detections_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields of a collection that hold detections."""
    schema = samples.get_field_schema(
        ftype=fof.EmbeddedDocumentField, embedded_doc_type=fo.Detections
    )
    return list(schema)


def ask_label_field(form: Form, samples: foc.SampleCollection, default: str) -> None:
    """Asks for the field to write masks to, and whether to overwrite one that is there."""
    field = form.text(
        "label_field",
        default,
        detections_fields(samples),
        label="Label field",
        description="The field to write the masks to",
    )
    form.values["overwrite"] = False
    correct = form.check("label_field", lambda: check_label_field(samples, field or ""))
    if correct and samples.has_field(field):
        form.flag(
            "overwrite",
            label="Overwrite",
            description=f"Make all masks in {field} anew; else only images that lack them are done",
        )


def check_output_folder(path: str) -> None:
    """Raises PromergeError where no file can be written into a folder that may not exist yet."""
    folder = Path(path).expanduser()
    if not folder.is_absolute():
        raise PromergeError(f"{path} is no absolute path; start it with / or ~")
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise PromergeError(f"{folder} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PromergeError(f"the folder {folder} may not be written to; choose another one")


def check_readable(path: str) -> None:
    """Raises PromergeError where there is no such file or folder, or it may not be read."""
    target = Path(path).expanduser()
    if not target.exists():
        raise PromergeError(f"there is no {path} on the machine that runs FiftyOne")
    if not os.access(target, os.R_OK):
        raise PromergeError(f"{path} may not be read; check its permissions")


def table(
    outputs: types.Object, name: str, columns: dict[str, str], label: str | None = None
) -> None:
    """Shows a list of dicts as a table.

    Args:
        outputs: where to show it.
        name: the result's key that holds the list.
        columns: key of each column -> what stands above it.
        label: what stands above the table.
    """
    view = types.TableView()
    for key, heading in columns.items():
        view.add_column(key, label=heading)
    row = types.Object()
    for key in columns:
        row.str(key)
    outputs.list(name, row, view=view, label=label)
