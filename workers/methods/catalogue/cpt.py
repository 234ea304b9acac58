"""`cpt`: some training examples in front of every text, as vectors that move a little way from their embeddings.

Certain (paper and peft's `CPTConfig`): the prompt begins as the tokens of training examples; embeddings of answers
stay, the others are projected behind each step into balls of radius ε·√(width / 2048), with an ε of its own for tokens
of the format; the loss takes in the answers of the context, those of an example j places before the text weighing
decay^j. Choices: how long the context is, not how many examples it has, is the knob, so that the number of trained
parameters follows from it; rows are drawn with the trial's seed, whole as they fit, the farthest one cut at its
beginning; what the chosen prompts begin and end with alike counts as format. The context's loss is that of one pass
over the prompt alone for each batch: a decoder reads from left to right, so it is the same for every row. peft's own
class gives the context's loss only where a row brings types of its tokens, and projects by putting another tensor in
the place of what is trained in every forward pass; so this one is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_spaces.parameters import Float, Int
from search_spaces.priors import Bell
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import DECODER
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.methods.attached import TrainingSetup
    from workers.methods.forms.context_prompt import ContextPrompt
    from workers.models.loading import Base

_LONGEST, _USUAL, _SHORTEST = 1024, 128, 8
_WIDTH = 2048
"""The width that the paper's radii are for."""


def _knobs(model: ModelDescription) -> Knobs:
    high = max(1, _LONGEST if model.prompt_room is None else min(_LONGEST, model.prompt_room))
    own = (
        Int("length", min(_SHORTEST, high), high, scale="log", prior=Bell(min(_USUAL, high), spread=0.3)),
        Float("epsilon", 0.01, 1.0, scale="log", prior=Bell(0.1, spread=0.3)),
        Float("format_epsilon", 0.01, 1.0, scale="log", prior=Bell(0.1, spread=0.3)),
        Float("decay", 0.5, 1.0, prior=Bell(0.95, spread=0.3)),
    )
    return Knobs(own, defaults={"length": min(_USUAL, high), "epsilon": 0.1, "format_epsilon": 0.1, "decay": 0.95})


def _install(base: Base, knobs: KnobValues, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.context_prompt import ContextPrompt

    anatomy = base.description.anatomy
    prompt = ContextPrompt(
        base.model.get_submodule(anatomy.word_embeddings), knobs["length"], anatomy.embedding_size
    ).to(base.model.device)
    base.model.add_module("context_prompt", prompt)
    prompt.listen(base.model)
    return {"context_prompt.delta": prompt.delta}


def _prompt(base: Base) -> ContextPrompt:
    found: Any = base.model.get_submodule("context_prompt")
    return found  # type: ignore[no-any-return]


def _ready(base: Base, _knobs: KnobValues, setup: TrainingSetup) -> None:
    _prompt(base).fill(setup.batches(8))


def _context_loss(base: Base, knobs: KnobValues) -> Tensor:
    return _prompt(base).context_loss(base.model, knobs["decay"])


def _project(base: Base, knobs: KnobValues, _setup: TrainingSetup, _step: int) -> None:
    scale = (base.description.anatomy.embedding_size / _WIDTH) ** 0.5
    _prompt(base).project(knobs["epsilon"] * scale, knobs["format_epsilon"] * scale)


METHODS = (
    own_method(
        "cpt",
        family="prompt",
        summary="training examples in front of the text, as vectors near their embeddings",
        source="Blau et al. 2024, Context-aware Prompt Tuning, arXiv 2410.17222",
        learning_rates=LearningRates(1e-5, 1e-2, 1e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=lambda model, knobs: int(knobs["length"]) * model.anatomy.embedding_size,
        lowest_layer=lambda _model, _knobs: 0,
        hooks=OwnHooks(ready=_ready, auxiliary_loss=_context_loss, after_step=_project),
        mergeable=False,
        unchanged_at_start=False,
        takes_positions=True,
        tasks=("causal-lm",),
        needs=(DECODER,),
    ),
)
