"""Checks of `resources` against the class of the model: what its base cannot do is refused before it is trained."""

from __future__ import annotations

from collections.abc import Iterator

from service.errors import FieldProblem
from service.jobs.search.spec import ResourcesSpec
from workers.models.description import ModelDescription


def check_model_class(resources: ResourcesSpec, model: ModelDescription) -> Iterator[FieldProblem]:
    """An engine or a number format that the class of model does not take."""
    kind = model.anatomy.model_type
    if resources.engine == "fast" and model.anatomy.reads is None:
        allowed = f"auto or reference on a {kind} model"
        message = f"stored hidden states do not stand for the lower layers of a {kind} model; allowed: {allowed}"
        yield FieldProblem("resources.engine", "fast", allowed, message)
    if resources.precision == "bf16" and not model.anatomy.mixed_precision:
        allowed = f"auto or fp32 on a {kind} model"
        message = f"attention of a {kind} model does not take products in bfloat16; allowed: {allowed}"
        yield FieldProblem("resources.precision", "bf16", allowed, message)
    if resources.quantise is not None and not model.anatomy.known_parts:
        allowed = "nothing, or a model of a family (docs/models.md)"
        message = f"a {kind} model, which has no family, is loaded in its own number format; allowed: {allowed}"
        yield FieldProblem("resources.quantise", resources.quantise, allowed, message)
