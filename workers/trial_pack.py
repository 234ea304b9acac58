"""Several trials of one task trained in one pass; see `workers.engines.packed`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from workers.assignment import Assignment, Outcome
from workers.engines.course import Ending, OnReport, Trial, course
from workers.engines.fast import refusal
from workers.engines.packed import LowRank, Member, pack_on
from workers.engines.precision import choose
from workers.methods.attached import Attached
from workers.trial import PreparedTrial, attach, outcome_of, plan_course, prepare
from workers.workbench import Workbench

_UPDATE = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<factor>[AB])\.default\.weight")
_PEFT_HEAD = re.compile(r"base_model\.model\.(?P<head>.+)\.modules_to_save\.default\.(?P<name>.+)")


def why_not_packed(prepared: PreparedTrial) -> str | None:
    """Why a trial must train alone; None when it may join a pack."""
    if prepared.method.name not in ("head", "lora", "lora_plus"):
        return f"{prepared.method.name} is none of head, lora and lora_plus"
    if prepared.knobs.get("use_dora"):
        return "DoRA's norms depend on the whole weight, not only on the update"
    return refusal(prepared.resident.base)


def train_pack(
    assignments: Sequence[Assignment], workbench: Workbench, on_report: OnReport, at_once: int | None = None
) -> Iterator[Outcome]:
    """Train trials of the same task and data seed together; one outcome each, in the order in which they end.

    With `at_once`, only so many share a pass and the next trial takes the place of one that ends. Reports stream
    through `on_report` while the pack runs; outcomes follow when it is done, because costs and exports need the base
    without the pack. Raises `ValueError` for trials that cannot share a pass.
    """
    trials = [prepare(assignment, workbench) for assignment in assignments]
    if len({_shared(one.assignment) for one in trials}) != 1:
        raise ValueError("a pack needs trials of one task and one data seed, evaluated on the same rows")
    for one in trials:
        if reason := why_not_packed(one):
            raise ValueError(f"trial {one.assignment.trial_id} cannot join a pack: {reason}")
    joined = [_join(one, plan_course(one, workbench, on_report)) for one in trials]
    ended = [
        (next(j for j in joined if j.member is member), ending) for member, ending in _run(joined, workbench, at_once)
    ]
    for one, ending in ended:
        yield _finish(one, ending, workbench, len(joined))


def _shared(assignment: Assignment) -> tuple[object, ...]:
    """What the members of a pack have in common."""
    return (assignment.task.model_dump_json(), assignment.data_seed, assignment.evaluate_on)


@dataclass(frozen=True)
class _Joined:
    """A trial and its place in the pack."""

    prepared: PreparedTrial
    member: Member
    lowest_layer: int
    steps: int


def _join(prepared: PreparedTrial, trial: Trial) -> _Joined:
    """Attach the method as alone, keep its parameters, and take it off again."""
    steps = trial.plan().steps
    attached = attach(prepared, steps)
    try:
        parameters, factors, lowest = attached.parameters(), attached.rate_factors(), attached.lowest_layer
    finally:
        attached.detach()
    torch.manual_seed(prepared.assignment.seed)
    member = Member(
        course(trial),
        prepared.hyperparameters,
        parameters,
        _updates(prepared, parameters),
        _heads(prepared, parameters),
        torch.get_rng_state(),
        factors,
    )
    if trial.resume is not None:
        member.load(trial.resume.tensors)
    return _Joined(prepared, member, lowest, steps)


def _updates(prepared: PreparedTrial, parameters: Mapping[str, nn.Parameter]) -> dict[str, LowRank]:
    if prepared.method.name == "head":
        return {}
    knobs = prepared.knobs
    rank = knobs["rank"]
    scale = knobs["alpha"] / (math.sqrt(rank) if knobs.get("use_rslora") else rank)
    factors = {
        (found["layer"], found["factor"]): value
        for name, value in parameters.items()
        if (found := _UPDATE.fullmatch(name))
    }
    layers = dict.fromkeys(layer for layer, _ in factors)
    return {layer: LowRank(factors[layer, "A"], factors[layer, "B"], scale, knobs["dropout"]) for layer in layers}


def _heads(prepared: PreparedTrial, parameters: Mapping[str, nn.Parameter]) -> dict[str, dict[str, nn.Parameter]]:
    heads: dict[str, dict[str, nn.Parameter]] = {head: {} for head in prepared.resident.base.head}
    for name, value in parameters.items():
        if found := _PEFT_HEAD.fullmatch(name):
            heads[found["head"]][found["name"]] = value
            continue
        for head, own in heads.items():
            if name.startswith(f"{head}."):
                own[name.removeprefix(f"{head}.")] = value
    return heads


def _run(joined: Sequence[_Joined], workbench: Workbench, at_once: int | None) -> list[tuple[Member, Ending]]:
    members = [one.member for one in joined]
    queue = iter([] if at_once is None else members[at_once:])
    first = joined[0].prepared
    description = first.resident.base.description
    lowest = min(one.lowest_layer for one in joined)
    layers = tuple(
        description.path(index, linear.name)
        for index, linear in description.linears("all", range(lowest, description.anatomy.layers))
    )
    with pack_on(
        first.resident,
        layers,
        lowest,
        first.data.train,
        first.evaluated,
        workbench.prefixes,
        choose(workbench.precision),
    ) as pack:
        return list(pack.run(members[:at_once], lambda: next(queue, None)))


def _finish(one: _Joined, ending: Ending, workbench: Workbench, members: int) -> Outcome:
    attached = attach(one.prepared, one.steps)
    try:
        _take_over(attached, one.member)
        outcome = outcome_of(one.prepared, ending, attached, "fast", None, workbench)
    finally:
        attached.detach()
    return outcome.model_copy(update={"environment": outcome.environment | {"packed_with": str(members - 1)}})


@torch.no_grad()
def _take_over(attached: Attached, member: Member) -> None:
    for name, parameter in attached.parameters().items():
        parameter.copy_(member.parameters[name])
