"""`mtlora`: a low-rank update that all tasks share, and beside it one for each task, which the task of a row chooses.

Certain (the authors' code, mode `matrixv2`): y_t = Wx + s·B₀A₀x + s_t·B_tA_tx, B zero at the start, task-specific
factors in some layers only and shared ones in all. In their default mode the output of a task lacks the shared term,
which only the stream common to the tasks has; here a row has one task, so there is one stream. Choices: one scale,
alpha over the sum of both ranks; task-specific factors sit in the top layers (theirs: in the last block of each stage).

`sharing` says what of the task-specific update tasks have in common, as in VL-Adapter (Sung et al. 2022): nothing
(`none`), the down-projections (`half`), or `all`: then it is a LoRA of both ranks that no task distinguishes. With
`rank: 0` there is no further shared update, as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Int, Ordinal
from search_spaces.priors import Bell
from workers.methods.declaration.knob_kinds import alpha, placed, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import TOKENS_ALONE
from workers.methods.declaration.own_method import own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_RANKS, _OWN_RANKS = (0, 1, 2, 4, 8, 16, 32, 64), 32


def _knobs(model: ModelDescription) -> Knobs:
    limit = max(1, model.shape.hidden_size // 4)  # beyond it an update of low rank saves nothing
    ranks, highest = tuple(value for value in _RANKS if value <= limit), min(_OWN_RANKS, limit)
    own = (
        Ordinal("rank", ranks, prior=Bell(min(8, ranks[-1]), spread=0.4)),
        Int("task_rank", 1, highest, scale="log", prior=Bell(min(4, highest), spread=0.4)),
        Categorical("sharing", ("none", "half", "all")),
        Int("task_layers", 1, model.shape.layers),
    )
    defaults = {"rank": min(8, ranks[-1]), "sharing": "none", "task_layers": model.shape.layers}
    return Knobs((*own, alpha(), *placement(model)), defaults=defaults)


def _entries(model: ModelDescription, knobs: KnobValues) -> tuple[int, int]:
    """How many down-projections and how many up-projections of tasks there are."""
    tasks = max(1, len(model.row_tasks))
    return tasks if knobs["sharing"] == "none" else 1, 1 if knobs["sharing"] == "all" else tasks


def _own_rank(model: ModelDescription, layer: int, knobs: KnobValues) -> int:
    """The rank of a task's update in a layer; 0 below the layers that have one."""
    return int(knobs["task_rank"]) if layer >= model.anatomy.layers - knobs["task_layers"] else 0


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.task_lora import TaskLora
    from workers.methods.own_adapter import set_submodule
    from workers.models.row_tasks import RowTasks

    model = base.description
    tasks, entries = RowTasks(max(1, len(model.row_tasks))), _entries(model, knobs)
    scale = knobs["alpha"] / (knobs["rank"] + knobs["task_rank"])
    trained: dict[str, nn.Parameter] = {}
    for layer, linear in placed(model, knobs):
        path, ranks = model.path(layer, linear.name), (knobs["rank"], _own_rank(model, layer, knobs))
        if not any(ranks):
            continue
        original, sides = base.model.get_submodule(path), (linear.in_features, linear.out_features)
        module = TaskLora(original, sides, ranks, entries, scale, tasks, generator).to(base.model.device)
        set_submodule(base.model, path, module)
        trained |= {f"{layer}.{linear.name}.{name}": value for name, value in module.trained().items()}
    tasks.watch(base.model)
    return trained


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    downs, ups = _entries(model, knobs)
    return sum(
        int(knobs["rank"]) * (linear.in_features + linear.out_features)
        + _own_rank(model, layer, knobs) * (downs * linear.in_features + ups * linear.out_features)
        for layer, linear in placed(model, knobs)
    )


METHODS = (
    own_method(
        "mtlora",
        family="low-rank",
        summary="a low-rank update of all tasks and one of each task, chosen by the task of a row",
        source="Agiza et al. 2024, MTLoRA, arXiv 2403.20320; sharing: Sung et al. 2022, VL-Adapter, arXiv 2112.06825",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        tasks=("multi-task",),
        needs=(TOKENS_ALONE,),
        mergeable=False,
        whole_rows=True,  # rows of one sequence may be of several tasks
    ),
)
