"""What the operators that write masks have in common."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_promerge.app.colours import BY_INSTANCE, colour_by_instance
from fiftyone_promerge.app.progress import Progress, duration
from fiftyone_promerge.app.targets import count_labelled, count_target, counted, work_ahead
from fiftyone_promerge.fields import (
    check_images,
    check_label_field,
    count_samples,
    detections_fields,
    written_samples,
)
from fiftyone_promerge.fiftyone_internals import serialized_view
from fiftyone_promerge.provenance import check_made_here, check_replaceable
from promerge_core import NoMasks, Summary
from promerge_core.options import MaskOptions
from promerge_core.parameters import Config

from .forms import Form, names
from .outputs import table
from .run_operator import RunOperator
from .running import Report, StoppedError, bar_progress
from .target import ask_target

if TYPE_CHECKING:
    from fiftyone_promerge.models.mask_model import MaskModel


class MasksOperator(RunOperator):
    """An operator that writes a model's masks into the field `label_field` of its form."""

    def run_name(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> str:
        """See `RunOperator`."""
        return f"{values['label_field']} of {ctx.dataset.name}"

    def write_masks(
        self,
        ctx: foo.ExecutionContext,
        model: MaskModel,
        values: dict[str, Any],
        report: Report,
        masks_dir: str | None = None,
    ) -> dict[str, Any]:
        """Applies a model to the chosen samples.

        Args:
            ctx: the operator's context.
            model: makes the masks.
            values: the form's values: `label_field` and all of `MaskOptions`.
            report: is told how many images are done.
            masks_dir: folder for the masks as PNG files; None keeps them in the database.

        Returns:
            the operator's result.
        """
        from fiftyone_promerge.generation.generate import generate_masks

        start = time.perf_counter()
        samples = ctx.target_view(require_flat=True)
        field, options = values["label_field"], MaskOptions.pick(values)
        done = 0 if options.overwrite else count_labelled(samples, field)
        progress = Progress("Segmenting", count_samples(samples) - done)

        def first_image() -> None:
            # It is not written yet: a run that is to stop ends after it, and not before.
            with contextlib.suppress(StoppedError):
                report(progress.share(1), progress.line(1))

        model.on_first_image = first_image
        report(0, progress.line(0))
        colour_by_instance(ctx.dataset)
        summary = generate_masks(
            samples,
            model,
            field,
            masks_dir=masks_dir,
            progress=bar_progress(report, progress),
            **options.to_dict(),
        )
        return {
            "label_field": field,
            "left_alone": count_samples(samples) - summary.images - len(summary.skipped),
            "seconds": round(time.perf_counter() - start, 1),
            **_counts(summary),
        }

    def show(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[Any]:
        """See `RunOperator`: the field becomes visible; view and selection stay as they are."""
        return _show_field(ctx, result["label_field"])

    def show_partial(self, ctx: foo.ExecutionContext, values: dict[str, Any]) -> Iterator[Any]:
        """See `RunOperator`."""
        return _show_field(ctx, values["label_field"])

    def describe(
        self, ctx: foo.ExecutionContext, outputs: types.Object, result: dict[str, Any]
    ) -> None:
        """See `RunOperator`: masks, images without any and why, images skipped and why."""
        outputs.md(_sentence(result), name="summary")
        samples = ctx.target_view(require_flat=True).view()
        if not ctx.delegated and samples != ctx.view:
            view = {"view": serialized_view(samples)}
            outputs.btn("show", "Show these images", icon="image", on_click="set_view", params=view)
        if result["without"]:
            columns = {"images": "Images", "reason": "Why they have no masks"}
            table(outputs, "without", columns, "Images without masks")
        if result["skipped"]:
            columns = {"images": "Images", "reason": "Why they were skipped", "path": "The first"}
            table(outputs, "skipped", columns, "Images skipped")


def _show_field(ctx: foo.ExecutionContext, field: str) -> Iterator[Any]:
    yield ctx.ops.reload_dataset()
    yield ctx.ops.set_active_fields([*dict.fromkeys([*ctx.active_fields, field])])
    if colour_by_instance(ctx.dataset):
        yield ctx.trigger("set_color_scheme", {"color_by": BY_INSTANCE})


def ask_label_field(form: Form, samples: foc.SampleCollection, default: str) -> None:
    """Asks for the field to write masks to, and whether to overwrite one that was made here.

    Args:
        form: gets the values `label_field` and `overwrite`.
        samples: what the masks are made for.
        default: the field where none is given.
    """
    field = form.text(
        "label_field",
        default,
        detections_fields(samples),
        label="Label field",
        description="The field to write the masks to",
    )

    def check() -> None:
        check_images(samples)
        check_label_field(targets, field)
        check_made_here(targets, field)

    targets = written_samples(samples)
    if form.check("label_field", check) and targets.has_field(field):
        form.parameters(MaskOptions, ["overwrite"])
        if form.values["overwrite"]:
            form.check("label_field", lambda: check_replaceable(targets, field))


def ask_masks_target(ctx: foo.ExecutionContext, form: Form) -> None:
    """Puts first how many images there are to do, see `ask_target`.

    Args:
        ctx: the operator's context.
        form: the form, which has all its other inputs.
    """
    field, overwrite = form.values["label_field"], form.values.get("overwrite", False)
    ask_target(
        ctx, form, lambda samples: work_ahead(count_target(samples, field), overwrite=overwrite)
    )


def ask_machine(
    form: Form, config: type[Config], defaults: Mapping[str, Any] | None = None
) -> None:
    """Asks for what depends on the machine: how images are read, and where a model computes.

    Args:
        form: gets the values.
        config: declares the options of the model.
        defaults: other defaults than the declared ones, by name.
    """
    for declared in (config, MaskOptions):
        form.parameters(declared, names(declared, "Machine"), defaults=defaults)


def _counts(summary: Summary) -> dict[str, Any]:
    return {
        "images": summary.images,
        "masks": summary.masks,
        "without": [
            {"reason": NoMasks(reason).explanation, "images": str(count)}
            for reason, count in summary.reasons.most_common()
        ],
        "skipped_count": len(summary.skipped),
        "skipped": [
            {
                "images": str(len(kind.images)),
                "reason": kind.reason,
                "path": kind.names if len(kind.images) > 1 else kind.images[0].path,
            }
            for kind in summary.skipped_kinds()
        ],
    }


def _sentence(result: dict[str, Any]) -> str:
    text = (
        f"**{counted(result['masks'], 'mask')}** on {counted(result['images'], 'image')} are in "
        f"the field `{result['label_field']}`, after {duration(result['seconds'])}."
    )
    if result["left_alone"]:
        text += f" {counted(result['left_alone'], 'image')} had masks already and stayed as before."
    if result["skipped_count"]:
        text += f" {counted(result['skipped_count'], 'image')} could not be read."
    return text
