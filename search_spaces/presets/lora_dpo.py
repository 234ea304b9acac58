"""The `lora-dpo` space: LoRA on decoders that learn from pairs of answers: `lora-sft` at lower rates, with β."""

from __future__ import annotations

from search_spaces.parameters import Float
from search_spaces.presets.lora_sft import lora_rate, lora_sft
from search_spaces.presets.shape import ModelShape
from search_spaces.priors import Bell
from search_spaces.space import Space

_GENTLER = 20
"""Rates of DPO under those of supervised fine-tuning: recipes train the whole model at 5e-7 and with LoRA at ten times
that or more (Zephyr's and TRL's 5e-6 at widths of 900 to 4096), where they fine-tune at 1e-5 to 2e-5 and at 2e-4. It is
a guess for other widths, so the prior is wide."""


def lora_dpo(shape: ModelShape) -> Space:
    """Rank, scale, places and training of LoRA on a decoder, and how dear it is to leave the base."""
    mode = lora_rate(shape).mode / _GENTLER
    rate = Float("learning_rate", mode / 20, 20 * mode, scale="log", prior=Bell(mode, spread=0.3))
    common = lora_sft(shape).parameters
    return Space(
        parameters=(
            *(rate if one.name == rate.name else one for one in common),
            # From Zephyr's 0.01 to the 0.5 beyond which little is learnt; 0.1 is Rafailov et al.'s and TRL's.
            Float("dpo_beta", 0.01, 0.5, scale="log", prior=Bell(0.1, spread=0.3)),
        )
    )
