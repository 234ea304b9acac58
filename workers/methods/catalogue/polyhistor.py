"""`polyhistor`: one small network makes the low-rank updates of all tasks and layers from an embedding of the task.

Certain (Liu et al. 2022): what is trained for a task alone is its embedding; the network's maps are decomposed into two
of low rank; layers share it and have small kernels of their own, which templates are multiplied with as Kronecker
products. Choices: low-rank updates beside the weights in place of bottleneck adapters behind sublayers; weights of one
name share maps; kernels are square; tasks of texts, where the task of a row chooses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Int, Ordinal
from search_spaces.priors import Bell
from workers.methods.declaration.knob_kinds import alpha, divisors, placed, placement
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import TOKENS_ALONE
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_MOST_KERNEL = 8


def _knobs(model: ModelDescription) -> Knobs:
    kernel = divisors("kernel", model, 1, _MOST_KERNEL)
    limit = max(1, min(16, model.shape.hidden_size // 8))
    own = (
        Ordinal("embedding", (8, 16, 32, 64), prior=Bell(32, spread=0.4)),
        Int("inner_rank", 1, 8, scale="log", prior=Bell(2, spread=0.4)),
        Int("template_rank", 1, limit, scale="log", prior=Bell(min(2, limit), spread=0.4)),
        kernel,
    )
    usual = max(value for value in kernel.values if value <= 4)
    return Knobs((*own, alpha(), *placement(model)), defaults={"embedding": 32, "inner_rank": 2, "kernel": usual})


def _kinds(model: ModelDescription, knobs: KnobValues) -> dict[str, Linear]:
    """The weights that are adapted, one of each name."""
    return {linear.name: linear for _, linear in placed(model, knobs)}


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.task_hypernetwork import HyperLora, TaskHypernetwork, watch
    from workers.methods.own_adapter import set_submodule
    from workers.models.row_tasks import RowTasks

    model, kernel = base.description, knobs["kernel"]
    tasks = RowTasks(max(1, len(model.row_tasks)))
    sizes = (knobs["embedding"], knobs["inner_rank"], knobs["template_rank"], kernel)
    network = TaskHypernetwork(_kinds(model, knobs).values(), tasks, sizes, generator).to(base.model.device)
    scale = knobs["alpha"] / (knobs["template_rank"] * kernel)
    trained = watch(base.model, network)
    for layer, linear in placed(model, knobs):
        path = model.path(layer, linear.name)
        original = base.model.get_submodule(path)
        module = HyperLora(original, linear.name, network, kernel, scale, generator).to(base.model.device)
        set_submodule(base.model, path, module)
        trained |= {f"{layer}.{linear.name}.{name}": getattr(module, name) for name in ("down", "up")}
    tasks.watch(base.model)
    return trained


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """Embeddings of tasks, the maps of each kind of weight, and two kernels of each weight."""
    size, inner, rank, kernel = (knobs[name] for name in ("embedding", "inner_rank", "template_rank", "kernel"))
    maps = sum(
        size * inner * (2 * rank + (linear.in_features + linear.out_features) // kernel)
        for linear in _kinds(model, knobs).values()
    )
    return max(1, len(model.row_tasks)) * size + maps + len(placed(model, knobs)) * 2 * kernel**2  # type: ignore[no-any-return]


METHODS = (
    own_method(
        "polyhistor",
        family="low-rank",
        summary="low-rank updates that a small shared network makes of an embedding of the row's task",
        source="Liu et al. 2022, Polyhistor, arXiv 2210.03265",
        learning_rates=LearningRates(2e-4, 2e-2, 3e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        tasks=("multi-task",),
        needs=(TOKENS_ALONE,),
        mergeable=False,
        whole_rows=True,  # rows of one sequence may be of several tasks
    ),
)
