"""Which adapters a step works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import FieldProblem
from workers.hyperparameters import split_config
from workers.methods.registry import method
from workers.models.description import ModelDescription
from workers.refining.sections.section import StepSection, Takes

_ALLOWED: Mapping[Takes, str] = {
    "lora": "adapters of `lora` without DoRA",
    "mergeable": "adapters that fold into the base",
    "e2e_qp": "what `ptq` or `block_ap` made, or adapters of `e2e_qp`",
    "mola": "adapters of `mola`",
}


def misfit(step: StepSection, field: str, config: Mapping[str, Any], model: ModelDescription) -> FieldProblem | None:
    """What a step says of an adapter that it cannot work on; None of one that it can."""
    name, knobs, _ = split_config(config)
    found = "lora with DoRA" if name == "lora" and method(name).complete(model, knobs)["use_dora"] else name
    if step.takes == "any" or (method(name).mergeable if step.takes == "mergeable" else found == step.takes):
        return None
    allowed = _ALLOWED[step.takes]
    return FieldProblem(field, found, allowed, f"{step.step} works on {allowed}; found {found}")
