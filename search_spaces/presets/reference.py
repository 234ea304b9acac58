"""Configurations that every search starts with, so that its front shows what the search has gained."""

from __future__ import annotations

from typing import Any

from search_spaces.presets.shape import ModelShape

Config = dict[str, Any]

_TRAINING: Config = {"batch_size": 16, "weight_decay": 0.01, "warmup_ratio": 0.06, "schedule": "linear"}


def reference_configs(shape: ModelShape) -> list[tuple[str, Config]]:
    """Head only, and the literature's default LoRA, as (label, configuration).

    They need not lie in the space that is searched. Sources: rank 8 and alpha 16 on query and value in every layer
    with a linear schedule, warm-up 0.06 and batch 16 are the GLUE settings of the LoRA paper (arXiv 2106.09685,
    appendix D, RoBERTa-base with alpha = rank, and alpha 16 for RoBERTa-large); the learning rate 5e-4 is their value
    for RoBERTa-base. A linear head alone learns well at ten times the rate of an adapter's weights.
    """
    head: Config = {"method": "head", "learning_rate": 1e-3, **_TRAINING}
    lora: Config = {
        "method": "lora",
        "rank": 8,
        "alpha": 16,
        "dropout": 0.0,
        "targets": shape.targets[0],
        "top_layers": shape.layers,
        "use_rslora": False,
        "use_dora": False,
        "learning_rate": 5e-4,
        **_TRAINING,
    }
    return [("head-only", head), ("literature-default", lora)]
