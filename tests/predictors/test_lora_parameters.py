"""Counts of LoRA parameters against published ones."""

from __future__ import annotations

import pytest

from predictors.answer import OutOfDomain
from predictors.lora_parameters import SHAPES, DecoderShape, lora_parameters, parameters_per_rank


def test_counts_of_llama_3_1_8b_are_the_published_ones() -> None:
    counts = parameters_per_rank(SHAPES["llama-3.1-8b"])
    assert counts == {"mlp": 1_769_472, "attention": 851_968, "unembed": 132_352}


def test_counts_grow_with_the_rank() -> None:
    assert lora_parameters("Llama-3.1-8B", 16).quantities["mlp"].value == 16 * 1_769_472


@pytest.mark.parametrize(
    ("model", "rank", "field"),
    [("gpt-9", 8, "model"), ("llama-3.1-8b", 0, "rank"), (DecoderShape(0, 4, 1, 1, 1, 9), 1, "hidden_size")],
)
def test_what_cannot_be_counted_is_refused(model: str | DecoderShape, rank: int, field: str) -> None:
    with pytest.raises(OutOfDomain) as refused:
        lora_parameters(model, rank)
    assert refused.value.field == field
