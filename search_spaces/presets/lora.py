"""The `lora` space: low-rank adapters (Hu et al., arXiv 2106.09685) with the variants that Hugging Face peft has."""

from __future__ import annotations

from search_spaces.parameters import Categorical, Float, Int, Parameter
from search_spaces.presets.shape import ModelShape
from search_spaces.presets.training import learning_rate, training_parameters
from search_spaces.priors import Bell
from search_spaces.space import Space

DEFAULT_RANK = 8
MAX_RANK = 64
MAX_ALPHA = 128


def largest_rank(shape: ModelShape) -> int:
    """Beyond a quarter of the hidden size a rank is no longer low: it would train half as many parameters as the matrix
    has."""
    return min(max(DEFAULT_RANK, min(MAX_RANK, shape.hidden_size // 4)), shape.hidden_size)


def lora_knobs(shape: ModelShape) -> tuple[Parameter, ...]:
    """Rank, alpha, dropout, which linear layers, how many of the top layers, and the variants rsLoRA and DoRA.

    The update is scaled by alpha / rank (alpha / √rank with rsLoRA).
    """
    rank = largest_rank(shape)
    return (
        Int("rank", 1, rank, scale="log", prior=Bell(min(DEFAULT_RANK, rank), spread=0.4)),
        Int("alpha", 1, MAX_ALPHA, scale="log", prior=Bell(16, spread=0.3)),
        Float("dropout", 0.0, 0.3),
        Categorical("targets", shape.targets),
        Int("top_layers", 1, shape.layers),
        Categorical("use_rslora", (False, True)),
        Categorical("use_dora", (False, True)),
    )


def lora(shape: ModelShape) -> Space:
    """LoRA's own knobs with its learning rate, and the training hyperparameters."""
    return Space(
        parameters=(
            Categorical("method", ("lora",)),
            *lora_knobs(shape),
            # Full fine-tuning of encoders uses 1e-5 to 5e-5; LoRA's best rate is about ten times as high, fifteen
            # for short runs ("LoRA Without Regret", Thinking Machines 2025).
            learning_rate(5e-5, 1e-2, mode=7e-4),
            *training_parameters(),
        )
    )
