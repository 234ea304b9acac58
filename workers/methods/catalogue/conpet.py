"""`conpet`: an adapter and a head for each of tasks in turn, frozen behind its task, and a selector among them.

Certain (Song et al. 2023, ConPET, the dynamic variant): one module of parameter-efficient tuning for each task, so that
what was learnt is never trained again, a selector that gives a text the likeliest `top_k` modules, and the tunable
parameters of a step independent of the number of tasks. Choices: the modules are LoRAs; the selector is no trained
classifier with a memory of rows but a linear discriminant analysis of the states that enter the lowest adapted layer,
whose sums forget nothing; and its probabilities weigh those of the modules. The static variant, one adapter with a
memory of rows, is any other method with `replay`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from search_spaces.parameters import Int
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import OWN_LAYERS, TOKENS_ALONE
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import lowest_placed, per_layer
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base

_ROWS = 32  # of a pass that tells the selector of the tasks


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), alpha(), *placement(model), Int("top_k", 1, 3)), defaults={"top_k": 1})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.task_sequence import install_sequence

    layers, scale = placed(base.description, knobs), knobs["alpha"] / knobs["rank"]
    return install_sequence(base, layers, knobs["rank"], scale, knobs["top_k"], generator)


def _lowest_layer(model: ModelDescription, knobs: KnobValues) -> int:
    """Rows that are read by several adapters go through the whole model, once for each of them."""
    return lowest_placed(model, knobs) if knobs["top_k"] == 1 else 0


def _ready(base: Base, _knobs: KnobValues, setup: TrainingSetup) -> None:
    from workers.methods.forms.task_sequence import sequence_of
    from workers.models.row_tasks import TASK_IDS

    sequence = sequence_of(base.model)
    assert sequence is not None, "it was installed"
    sequence.learn_rows(base.model, setup.batches(_ROWS), (TASK_IDS, "labels"))


def _after_step(base: Base, knobs: KnobValues, setup: TrainingSetup, step: int) -> Mapping[str, Tensor] | None:
    """Behind a task but the last: what was learnt is put away, and all that is trained stands for the next."""
    import torch

    from workers.methods.forms.task_sequence import sequence_of

    sequence, model = sequence_of(base.model), base.description
    if sequence is None or step not in setup.stage_ends[:-1]:
        return None
    sequence.advance(base.model)
    trained = {
        f"{layer}.{linear.name}.{name}": value
        for layer, linear in placed(model, knobs)
        for name, value in base.model.get_submodule(model.path(layer, linear.name)).named_parameters(recurse=False)
    }
    for head, part in base.head_modules().items():
        trained |= {f"{head}.{name}": value for name, value in part.named_parameters()}
    return {name: torch.arange(value.numel(), device=value.device) for name, value in trained.items()}


METHODS = (
    own_method(
        "conpet",
        family="low-rank",
        summary="a LoRA and a head for each of tasks in turn, frozen behind its task, and a selector among them",
        source="Song et al. 2023, ConPET, arXiv 2309.14763",
        learning_rates=LearningRates(5e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=per_layer(
            lambda linear, knobs: knobs["rank"] * (linear.in_features + linear.out_features)
        ),
        lowest_layer=_lowest_layer,
        hooks=OwnHooks(ready=_ready, after_step=_after_step),
        tasks=("continual",),
        needs=(TOKENS_ALONE, OWN_LAYERS),
        mergeable=False,
        unchanged_at_start=False,  # it gives logarithms of probabilities
        whole_rows=True,
        by_stage=True,
    ),
)
