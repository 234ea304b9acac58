"""Models with random weights, trained as a whole."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from workers.methods.attached import AdapterCard
from workers.methods.whole_model import WholeModel
from workers.models.fresh import fresh_decoder

SIZES = {"layers": 2, "width": 32, "heads": 2, "context": 16, "vocabulary": 300}


def test_weights_come_from_the_seed_alone_and_spread_with_the_width() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = fresh_decoder(**SIZES, seed=1).state_dict()
    assert torch.equal(torch.rand(1), expected)
    again, other = (fresh_decoder(**SIZES, seed=seed).state_dict() for seed in (1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    spread = 0.55 / math.sqrt(32)
    for name, share in (
        ("transformer.wte.weight", 1.0),
        ("transformer.wpe.weight", 0.1),
        ("transformer.h.0.attn.c_attn.weight", 1.0),
        ("transformer.h.1.mlp.c_proj.weight", 0.5),  # two layers of two residuals each
    ):
        assert not torch.equal(first[name], other[name])
        assert math.isclose(float(first[name].std()), share * spread, rel_tol=0.1)


def test_every_parameter_is_trained_once_and_saved_as_transformers_opens_it(tmp_path: Path) -> None:
    model = fresh_decoder(**SIZES, seed=1)
    whole = WholeModel(model)
    size = 300 * 32 + 16 * 32 + 2 * (12 * 32 * 32 + 13 * 32) + 2 * 32
    assert sum(value.numel() for value in whole.parameters().values()) == size
    assert all(value.requires_grad for value in whole.parameters().values())
    whole.save(tmp_path, AdapterCard("", ""))
    tokens = torch.arange(1, 13)[None]
    opened = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(opened(input_ids=tokens).logits, model(input_ids=tokens).logits)
