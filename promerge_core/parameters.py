"""Parameters declared once: the check, the CLI flag, the form field, provenance and docs follow."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import numbers
import os
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, cast

from .errors import PromergeError

ConfigType = TypeVar("ConfigType", bound="Config")
Function = TypeVar("Function", bound=Callable[..., Any])


class ConfigError(PromergeError):
    """A parameter is unknown, of the wrong type or out of its range."""


class Parameter(NamedTuple):
    """One declared parameter of a `Config`.

    Attributes:
        name: its name in Python; the name of the command-line flag follows from it.
        type: int, float, str or bool.
        default: the value where none is given; where it is None, None is allowed.
        help: one line that says what the parameter means, with its unit.
        label: what a form calls it.
        low: smallest allowed number, inclusive.
        high: largest allowed number, inclusive.
        choices: the allowed values of a parameter that is text.
        suggestions: values to offer for text of which others are allowed too.
        path: whether the text is the path of a file or a folder.
        flags: further command-line flags.
        is_main: whether a form shows it before a person asks for more.
        group: what it belongs to, in words: the heading above it in a form and in a command's help.
            By default the `group` of the config whose body declares it.
        decides: whether a run into a COCO json or into shards writes it to its header and continues
            only with the same value. A run into a dataset records every option, deciding or not,
            and continues with other ones.
    """

    name: str
    type: type
    default: Any
    help: str
    label: str
    low: float | None = None
    high: float | None = None
    choices: Collection[str] | None = None
    suggestions: Collection[str] = ()
    path: Literal["file", "folder"] | None = None
    flags: tuple[str, ...] = ()
    is_main: bool = False
    group: str = ""
    decides: bool = True

    def check(self, value: Any) -> Any:
        """The value in the parameter's own type.

        Raises:
            ConfigError: it is of another type, not finite or not allowed.
        """
        if value is None and self.default is None:
            return None
        if self.choices is not None and (not isinstance(value, str) or value not in self.choices):
            raise ConfigError(
                f"{self.name} must be one of {', '.join(self.choices)}; got {value!r}"
            )
        if self.type is str:
            return self._checked_text(value)
        if self.type is bool:
            if not isinstance(value, bool):
                raise ConfigError(f"{self.name} must be true or false; got {value!r}")
            return value
        return self._checked_number(value)

    def _checked_text(self, value: Any) -> str:
        if not isinstance(value, str | os.PathLike):
            raise ConfigError(f"{self.name} must be text; got {value!r}")
        return os.fspath(value)

    def _checked_number(self, value: Any) -> Any:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or not _is_finite(value):
            raise ConfigError(f"{self.name} must be a finite number; got {value!r}")
        if self.type is int and value % 1:
            raise ConfigError(f"{self.name} must be a whole number; got {value!r}")
        too_low = self.low is not None and value < self.low
        if too_low or (self.high is not None and value > self.high):
            raise ConfigError(f"{self.name} must be {self.range}; got {value!r}")
        return self.type(value)

    @property
    def range(self) -> str:
        """The allowed numbers in words; empty where all are."""
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            return f"at least {self.low}"
        if self.low is None:
            return f"at most {self.high}"
        return f"between {self.low} and {self.high}"


def parameter(default: Any, help: str, **attributes: Any) -> Any:
    """Declares one parameter of a `Config`, as the value of its field.

    Args:
        default: the value where none is given; where it is None, None is allowed.
        help: one line that says what the parameter means, with its unit.
        **attributes: others of `Parameter`. By default the type is that of `default`, and the
            label the name with spaces.

    Returns:
        the field, for the body of a dataclass.
    """
    return dataclasses.field(default=default, metadata={"help": help, **attributes})


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of all configs and options: checks every value against its declaration.

    Attributes:
        group: see `Parameter`.

    Raises:
        ConfigError: a value is of the wrong type, not finite or out of range.
    """

    group: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for one in self.parameters():
            object.__setattr__(self, one.name, one.check(getattr(self, one.name)))

    @classmethod
    def parameters(cls) -> Iterator[Parameter]:
        """The declared parameters, in their order."""
        groups = {
            name: one.group
            for one in cls.__mro__[::-1]
            if issubclass(one, Config)
            for name in inspect.get_annotations(one)
        }
        for field in dataclasses.fields(cls):
            implied = {
                "type": type(field.default),
                "label": spoken(field.name),
                "group": groups[field.name],
            }
            yield Parameter(field.name, default=field.default, **{**implied, **field.metadata})

    @classmethod
    def from_dict(cls: type[ConfigType], values: dict[str, Any]) -> ConfigType:
        """Builds a config from a dict of parameter names to values.

        Raises:
            ConfigError: a name is unknown, or a value is not allowed.
        """
        names = [one.name for one in cls.parameters()]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise ConfigError(
                f"{cls.__name__} has no parameter {unknown[0]!r}; it has: {', '.join(names)}"
            )
        return cls(**values)

    @classmethod
    def pick(cls: type[ConfigType], values: dict[str, Any]) -> ConfigType:
        """Builds a config from those of the values that are its parameters.

        Raises:
            ConfigError: a value is not allowed.
        """
        names = [one.name for one in cls.parameters()]
        return cls(**{name: values[name] for name in names if name in values})

    def deciding(self) -> dict[str, Any]:
        """The parameters that decide the result, and their values, ready for JSON."""
        return {one.name: getattr(self, one.name) for one in self.parameters() if one.decides}

    def to_dict(self) -> dict[str, Any]:
        """All parameters and their values, ready for JSON."""
        return dataclasses.asdict(self)


def takes(*declared: type[Config], **defaults: Any) -> Callable[[Function], Function]:
    """Makes declared parameters the keyword arguments of a function, in place of its last one.

    The function's `**options` then says in its signature and in its docstring, where a line begins
    with `**options:`, what the declarations say, and holds every parameter; any other keyword is a
    TypeError.

    Args:
        declared: the configs whose parameters the function takes.
        defaults: defaults by name that are the function's own.

    Returns:
        a decorator of functions.
    """
    parameters = [
        one._replace(default=defaults.get(one.name, one.default))
        for config in declared
        for one in config.parameters()
    ]

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        keywords = [
            inspect.Parameter(
                one.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=one.default,
                annotation=one.type if one.default is not None else one.type | None,
            )
            for one in parameters
        ]
        signature = signature.replace(parameters=[*signature.parameters.values()][:-1] + keywords)

        @functools.wraps(function)
        def checked(*args: Any, **named: Any) -> Any:
            bound = signature.bind(*args, **named)
            bound.apply_defaults()
            return function(*bound.args, **bound.kwargs)

        lines = "\n".join(f"\\g<1>{one.name}: {_sentence(one)}" for one in parameters)
        checked.__doc__ = re.sub(r"( +)\*\*options: .*", lines, function.__doc__ or "")
        checked.__signature__ = signature  # type: ignore[attr-defined]
        return cast(Function, checked)

    return decorate


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int that no float can hold
        return False


def _sentence(one: Parameter) -> str:
    """What a docstring says of a parameter."""
    if one.choices is not None:
        return f"{one.help}: {', '.join(f'`{choice}`' for choice in one.choices)}."
    return f"{one.help}{', ' * bool(one.range)}{one.range}."


def spoken(name: str) -> str:
    """A parameter's name as a person reads it."""
    words = name.replace("_", " ")
    for short in ("IoU", "CRF"):
        words = words.replace(short.lower(), short)
    return words[:1].upper() + words[1:]
