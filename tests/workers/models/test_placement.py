"""`targets` and `top_layers` choose the same parts in every family: LoRA is put there and nowhere else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from peft.tuners.lora import LoraLayer
from torch.nn.functional import cross_entropy

from tests.workers.methods.test_conformance import batches
from tests.workers.tiny_models import BUILDERS, TOKEN_BUILDERS, tiny_base
from workers.methods.attached import TrainingSetup
from workers.methods.registry import method

Parts = dict[str, str]
"""Patterns of the linear layers of one layer, by what they do: Q, K, V, the projection behind them, feed-forward."""
_BERT: Parts = {
    "q": r"self\.query",
    "k": r"self\.key",
    "v": r"self\.value",
    "o": r"attention\.output\.dense",
    "f": r"intermediate\.dense|(?<!attention\.)output\.dense",
}
_LLAMA: Parts = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "o_proj", "f": "gate_proj|up_proj|down_proj"}
_T5: Parts = {"q": r"SelfAttention\.q", "k": r"SelfAttention\.k", "v": r"SelfAttention\.v", "o": r"SelfAttention\.o"}
PARTS: dict[str, Parts] = {
    **dict.fromkeys(("bert", "roberta", "camembert", "electra"), _BERT),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"), _LLAMA),
    "deberta-v2": _BERT | {"q": "query_proj", "k": "key_proj", "v": "value_proj"},
    "mpnet": _BERT | {"q": r"attn\.q", "k": r"attn\.k", "v": r"attn\.v", "o": r"attn\.o"},
    "albert": {
        "q": r"attention\.query",
        "k": r"attention\.key",
        "v": r"attention\.value",
        "o": r"attention\.dense",
        "f": r"ffn|ffn_output",
    },
    "distilbert": {"q": "q_lin", "k": "k_lin", "v": "v_lin", "o": "out_lin", "f": "lin1|lin2"},
    "modernbert": {"qkv": "Wqkv", "o": r"attn\.Wo", "f": r"mlp\.Wi|mlp\.Wo"},
    "modernbert-decoder": {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": r"attn\.Wo", "f": r"mlp\.Wi|mlp\.Wo"},
    "gpt2": {"qkv": "c_attn", "o": r"attn\.c_proj", "f": r"c_fc|mlp\.c_proj"},
    "gpt_neox": {"qkv": "query_key_value", "o": r"attention\.dense", "f": "dense_h_to_4h|dense_4h_to_h"},
    "phi3": {"qkv": "qkv_proj", "o": "o_proj", "f": "gate_up_proj|down_proj"},
    "t5": _T5 | {"f": r"DenseReluDense\.wi|DenseReluDense\.wo"},
    **dict.fromkeys(("mt5", "umt5"), _T5 | {"f": r"DenseReluDense\.wi_0|DenseReluDense\.wi_1|DenseReluDense\.wo"}),
}
WANTED = {"qv": ("q", "v", "qkv"), "attention": ("q", "k", "v", "qkv", "o"), "mlp": ("f",)}
WANTED["all"] = (*WANTED["attention"], *WANTED["mlp"])


def _adapted(kind: str, base: Any, knobs: dict[str, Any]) -> set[tuple[int, str]]:
    """(layer, part) of every linear layer that LoRA is on."""
    one = method("lora")
    complete = one.complete(base.description, {"rank": 2, **knobs})
    attached = one.attach(base, complete, 7, TrainingSetup(1, batches, cross_entropy))
    try:
        names = [name for name, module in attached.model.named_modules() if isinstance(module, LoraLayer)]
    finally:
        attached.detach()
    found = set()
    for name in names:
        (part,) = [part for part, pattern in PARTS[kind].items() if re.search(rf"(?:^|\.)(?:{pattern})$", name)]
        layer = re.search(r"\.(\d+)\.", name)
        assert layer is not None, name
        found.add((int(layer[1]), part))
    assert len(names) == sum(_modules(PARTS[kind][part]) for _, part in found), names
    return found


def _modules(pattern: str) -> int:
    return len(pattern.split("|"))


def test_every_family_is_here() -> None:
    assert set(PARTS) == {*BUILDERS, *TOKEN_BUILDERS}


@pytest.mark.parametrize("kind", PARTS)
def test_targets_and_layers_mean_the_same(kind: str) -> None:
    base = tiny_base(kind)
    layers = base.description.anatomy.layers
    for targets, parts in WANTED.items():
        there = {part for part in parts if part in PARTS[kind]}
        everywhere = {(layer, part) for layer in range(layers) for part in there}
        assert _adapted(kind, base, {"targets": targets}) == everywhere, targets
        last = {(layers - 1, part) for part in there}
        assert _adapted(kind, base, {"targets": targets, "top_layers": 1}) == last, targets
