"""Published worked values, reproduced."""

from __future__ import annotations

from typing import Any

from predictors.lora_learning_rate import lora_learning_rate
from predictors.lora_parameters import SHAPES, parameters_per_rank
from predictors.step_law import step_law


def measure() -> dict[str, Any]:
    """Each value beside the published one."""
    law = step_law(1.07e9, 2e10).quantities
    counts = parameters_per_rank(SHAPES["llama-3.1-8b"])
    pairs = {
        "step law learning rate": (law["learning_rate"].value, 9.5e-4),
        "step law batch, sequences": (law["batch_sequences"].value, 216),
        "LoRA learning rate, Llama 4096": (
            lora_learning_rate(4096, "llama").quantities["learning_rate"].value,
            2.86e-4,
        ),
        "LoRA learning rate, Qwen 4096": (lora_learning_rate(4096, "qwen").quantities["learning_rate"].value, 4.73e-4),
        "LoRA parameters a rank, MLP": (counts["mlp"], 1_769_472),
        "LoRA parameters a rank, attention": (counts["attention"], 851_968),
        "LoRA parameters a rank, unembedding": (counts["unembed"], 132_352),
    }
    values = {name: {"ours": ours, "published": published} for name, (ours, published) in pairs.items()}
    return {"values": values, "reached": all(abs(a / b - 1) < 3e-3 for a, b in pairs.values())}
