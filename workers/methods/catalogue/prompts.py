"""`prompt_tuning`, `p_tuning`, `prefix_tuning`: trained vectors in front of the text.

They start from random vectors, so outputs change at once. Prompts are put in front of the whole sequence, as peft does
it: BERT's pooler then reads the first trained vector. Each vector takes a position, and texts leave so many of them.
Decoders are left out for prompts, because peft hands their classification heads embeddings, from which these cannot
tell padding.
"""

from __future__ import annotations

from typing import Any

from search_spaces.parameters import Categorical, Int, Ordinal
from search_spaces.priors import Bell
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import ENCODER, PAST_KEYS
from workers.methods.declaration.peft_method import peft_method
from workers.models.description import ModelDescription

LONGEST = 64


def prompt_length(model: ModelDescription) -> Int:
    """Trained vectors beside the text: at most as many as the model has positions left behind the longest text."""
    high = max(1, LONGEST if model.prompt_room is None else min(LONGEST, model.prompt_room))
    return Int("length", 1, high, scale="log", prior=Bell(min(10, high), spread=0.4))


def _sizes(model: ModelDescription) -> dict[str, Any]:
    """Sizes that peft reads from most configurations itself, but not from DistilBERT's."""
    parts = model.anatomy
    return {"token_dim": parts.embedding_size, "num_layers": parts.layers, "num_attention_heads": parts.heads}


def _prompt_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {"num_virtual_tokens": knobs["length"], **_sizes(model)}


def _encoder_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "num_virtual_tokens": knobs["length"],
        "encoder_hidden_size": knobs["encoder_size"],
        "encoder_reparameterization_type": "MLP",
        **_sizes(model),
    }


def _encoder_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """The vectors and a network of three layers, d → e → e → d."""
    hidden, inner = model.anatomy.embedding_size, int(knobs["encoder_size"])
    return int(knobs["length"]) * hidden + hidden * inner + inner + inner * inner + inner + inner * hidden + hidden


def _prefix_knobs(model: ModelDescription) -> Knobs:
    sizes = Ordinal("encoder_size", tuple(sorted({model.shape.hidden_size // 4, model.shape.hidden_size})))
    own = (prompt_length(model), Categorical("projection", (False, True)), sizes)
    return Knobs(own, defaults={"projection": False})


def _prefix_arguments(_model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "num_virtual_tokens": knobs["length"],
        "prefix_projection": knobs["projection"],
        "encoder_hidden_size": knobs["encoder_size"],
    }


def _prefix_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """Keys and values of all layers; with a projection, the network d → e → all of them."""
    length, parts = int(knobs["length"]), model.anatomy
    everything = 2 * parts.layers * parts.key_value_heads * parts.head_size
    if not knobs["projection"]:
        return length * everything
    hidden, inner = parts.key_value_heads * parts.head_size, int(knobs["encoder_size"])
    return length * hidden + hidden * inner + inner + inner * everything + everything


def _bottom(_model: ModelDescription, _knobs: KnobValues) -> int:
    return 0


METHODS = (
    peft_method(
        "prompt_tuning",
        "PromptTuningConfig",
        family="prompt",
        summary="trained vectors in front of the word embeddings",
        source="Lester et al. 2021, arXiv 2104.08691",
        learning_rates=LearningRates(1e-3, 5e-1, 3e-2),
        knobs=lambda model: Knobs((prompt_length(model),)),
        arguments=_prompt_arguments,
        trainable_parameters=lambda model, knobs: knobs["length"] * model.anatomy.embedding_size,
        lowest_layer=_bottom,
        mergeable=False,
        unchanged_at_start=False,
        takes_positions=True,
        needs=(ENCODER,),
    ),
    peft_method(
        "p_tuning",
        "PromptEncoderConfig",
        family="prompt",
        summary="prompt vectors produced by a small trained network",
        source="Liu et al. 2021, arXiv 2103.10385",
        learning_rates=LearningRates(1e-4, 5e-2, 3e-3),
        knobs=lambda model: Knobs((prompt_length(model), Ordinal("encoder_size", (32, 64, 128, 256)))),
        arguments=_encoder_arguments,
        trainable_parameters=_encoder_parameters,
        lowest_layer=_bottom,
        mergeable=False,
        unchanged_at_start=False,
        takes_positions=True,
        needs=(ENCODER,),
    ),
    peft_method(
        "prefix_tuning",
        "PrefixTuningConfig",
        family="prompt",
        summary="trained keys and values in front of those of every layer",
        source="Li & Liang 2021, arXiv 2101.00190",
        learning_rates=LearningRates(5e-4, 1e-1, 1e-2),
        knobs=_prefix_knobs,
        arguments=_prefix_arguments,
        trainable_parameters=_prefix_parameters,
        lowest_layer=_bottom,
        mergeable=False,
        unchanged_at_start=False,
        takes_positions=True,
        needs=(PAST_KEYS,),
    ),
)
