"""`dept`: a short prompt, and with the parameters saved a low-rank change of the word embeddings.

Certain: the decomposition E + AB by position with a prompt of m vectors, its count m·d + (positions + d)·r, and a
higher learning rate for the prompt. Choices: the trial's rate is that of A, B and the head, `rate_ratio` times it that
of the prompt; positions beyond `positions`, a number that the texts of a task reach, keep their embeddings; the prompt
stands behind the first token. Decoders are left out as for other prompts: their heads cannot tell padding when they are
handed embeddings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int, Ordinal
from search_spaces.priors import Bell
from workers.methods.catalogue.prompts import prompt_length
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import ENCODER
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


_POSITIONS = (32, 64, 128, 256)


def _knobs(model: ModelDescription) -> Knobs:
    # Positions behind the longest text would never train: they are no choice, and no parameters.
    longest = _POSITIONS[-1] if model.longest_text is None else model.longest_text
    positions = tuple(n for n in _POSITIONS if n <= longest) or (longest,)
    own = (
        prompt_length(model),
        Int("rank", 1, 64, scale="log", prior=Bell(8, spread=0.4)),
        Ordinal("positions", positions),
        Float("rate_ratio", 1.0, 300.0, scale="log", prior=Bell(10.0, spread=0.3)),
    )
    return Knobs(own, defaults={"positions": min(positions[-1], 128)})


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    hidden = model.anatomy.embedding_size
    return int(knobs["length"] * hidden + (knobs["positions"] + hidden) * knobs["rank"])


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.decomposed_prompt import DecomposedPrompt

    words = base.model.get_submodule(base.description.anatomy.word_embeddings)
    prompt = DecomposedPrompt(words, knobs["length"], knobs["rank"], knobs["positions"], generator)  # type: ignore[arg-type]
    prompt.to(base.model.device)
    base.model.add_module("decomposed_prompt", prompt)
    prompt.listen(base.model)
    return dict(prompt.named_parameters())


METHODS = (
    own_method(
        "dept",
        family="prompt",
        summary="a short prompt and a low-rank change of the word embeddings, each with its learning rate",
        source="Shi & Lipani 2023, DePT, arXiv 2309.05173",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        lowest_layer=lambda _model, _knobs: 0,
        hooks=OwnHooks(rate_factor=lambda name, knobs: float(knobs["rate_ratio"]) if name == "prompt" else 1.0),
        mergeable=False,
        unchanged_at_start=False,
        takes_positions=True,
        needs=(ENCODER,),
    ),
)
