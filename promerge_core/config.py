"""Every parameter of ProMerge: its default, its range and its meaning, once."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any, TypeVar

from .errors import PromergeError

ConfigType = TypeVar("ConfigType", bound="Config")


class ConfigError(PromergeError):
    """A parameter is unknown, of the wrong type or out of its range."""


def parameter(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declares one parameter of a `Config`.

    Args:
        default: the value when none is given; its type is the parameter's type.
        help: one line that says what the parameter means, with its unit.
        low: smallest allowed value, inclusive.
        high: largest allowed value, inclusive.
        choices: the allowed values of a parameter that is a string.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of all configs: checks every value against its declared range.

    Raises:
        ConfigError: a value is of the wrong type, not finite or out of range.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _checked(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def from_dict(cls: type[ConfigType], values: dict[str, Any]) -> ConfigType:
        """Builds a config from a dict of parameter names to values.

        Raises:
            ConfigError: a name is unknown, or a value is not allowed.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise ConfigError(
                f"{cls.__name__} has no parameter {unknown[0]!r}; it has: {', '.join(names)}"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All parameters and their values, ready for JSON."""
        return dataclasses.asdict(self)


def _checked(field: dataclasses.Field, value: Any) -> Any:
    """The value in the parameter's own type, or a ConfigError that says what is allowed."""
    kind: Any = type(field.default)
    low, high = field.metadata["low"], field.metadata["high"]
    choices = field.metadata["choices"]
    if choices is not None:
        if value not in choices:
            raise ConfigError(f"{field.name} must be one of {', '.join(choices)}; got {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ConfigError(f"{field.name} must be a finite number; got {value!r}")
    if kind is int and value % 1:
        raise ConfigError(f"{field.name} must be a whole number; got {value!r}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConfigError(f"{field.name} must be {_range_text(low, high)}; got {value!r}")
    return kind(value)


def _range_text(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {low}"
    if low is None:
        return f"at most {high}"
    return f"between {low} and {high}"


@dataclasses.dataclass(frozen=True)
class RefinementConfig(Config):
    """Parameters of the dense CRF that ProMerge and MaskCut share (ProMerge, section 3.4)."""

    image_size: int = parameter(
        480, "Side of the square input in pixels; images are resized to it", low=32, high=4096
    )
    refine_iou: float = parameter(
        0.5, "Drop a mask whose IoU with its unrefined self is below this", low=0.0, high=1.0
    )
    refiner: str = parameter(
        "batched", "Implementation of the dense CRF", choices=("batched", "pydensecrf")
    )
    crf_iterations: int = parameter(10, "Mean-field iterations of the CRF", low=1, high=100)
    crf_gaussian_sxy: float = parameter(
        3.0, "Standard deviation of the Gaussian kernel in pixels", low=0.1, high=1000.0
    )
    crf_gaussian_compat: float = parameter(
        7.0, "Weight of the Gaussian kernel", low=0.0, high=1000.0
    )
    crf_bilateral_sxy: float = parameter(
        50.0, "Standard deviation of the bilateral kernel in pixels", low=0.1, high=1000.0
    )
    crf_bilateral_srgb: float = parameter(
        5.0, "Standard deviation of the bilateral kernel in grey levels", low=0.1, high=1000.0
    )
    crf_bilateral_compat: float = parameter(
        10.0, "Weight of the bilateral kernel", low=0.0, high=1000.0
    )


@dataclasses.dataclass(frozen=True)
class ProMergeConfig(RefinementConfig):
    """Parameters of ProMerge (Li and Shin, ECCV 2024, section 3 and appendix).

    The defaults are the paper's, except `score`: `constant` reproduces the paper there too.
    Areas and overlaps are fractions; similarities are cosines of patch features.
    """

    seed_stride: int = parameter(
        4, "Every how many patches, in both directions, a prompt is placed", low=1, high=64
    )
    affinity_threshold: float = parameter(
        0.2, "A patch joins a prompt's proposal above this cosine affinity", low=-1.0, high=1.0
    )
    component_area_ratio: float = parameter(
        0.5,
        "Keep a component at least this fraction of the prompt's own component",
        low=0.0,
        high=1.0,
    )
    min_background_fraction: float = parameter(
        0.1,
        "An image whose voted background is a smaller fraction gets no masks",
        low=0.0,
        high=1.0,
    )
    background_overlap: float = parameter(
        0.8,
        "Prune a proposal whose new patches are background at this fraction or more",
        low=0.0,
        high=1.0,
    )
    background_similarity: float = parameter(
        0.1,
        "Prune a proposal at least this similar to the background",
        low=-1.0,
        high=1.0,
    )
    merge_overlap: float = parameter(
        0.5, "Merge a proposal covered by an instance above this fraction", low=0.0, high=1.0
    )
    merge_overlap_similar: float = parameter(
        0.1, "The same for a proposal that is similar to the instance", low=0.0, high=1.0
    )
    merge_similarity: float = parameter(
        0.1, "A proposal is similar to an instance from this value on", low=-1.0, high=1.0
    )
    score: str = parameter(
        "stability",
        "Score of a mask; constant gives 1.0, as the paper",
        choices=("stability", "constant"),
    )


@dataclasses.dataclass(frozen=True)
class MaskCutConfig(RefinementConfig):
    """Parameters of MaskCut (Wang et al., CutLER, CVPR 2023, section 3.2)."""

    tau: float = parameter(
        0.15, "Two patches are connected above this cosine affinity", low=-1.0, high=1.0
    )
    n_masks: int = parameter(3, "Number of cuts, and so of masks at most", low=1, high=100)
