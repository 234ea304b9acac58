"""Configurations that every search starts with, so that its front shows what the search has gained."""

from __future__ import annotations

from typing import Any

from search_spaces.presets.lora import largest_rank
from search_spaces.presets.shape import ModelShape

Config = dict[str, Any]

_TRAINING: Config = {"batch_size": 16, "weight_decay": 0.1, "warmup_ratio": 0.06, "schedule": "linear"}


MOST_ENTRIES = 1_000_000
"""The most that the method `apet` trains."""


def reference_configs(shape: ModelShape) -> list[tuple[str, Config]]:
    """Head only, and the literature's default LoRA, as (label, configuration).

    They need not lie in the space that is searched. The LoRA settings are those of the authors' own RoBERTa-base runs
    on GLUE (`roberta_base_rte.sh` in microsoft/LoRA): rank 8, alpha 16 on query and value of every layer, learning
    rate 5e-4, warm-up 0.06, weight decay 0.1, a linear schedule; batch 16 is the smaller of the two sizes they use.
    The head alone trains at 1e-3, the customary rate of Adam for weights that start from nothing.
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


def language_model_references(shape: ModelShape) -> list[tuple[str, Config]]:
    """The model as it is, and the literature's default for fine-tuning decoders, as (label, configuration).

    Rank 16 and alpha 32 on all linear layers at 2e-4 is what the published recipes share (QLoRA, Dettmers et al. 2023,
    arXiv 2305.14314, trains all linear layers at 2e-4; ranks and scales of the recipes of TRL and peft); batch 16,
    warm-up over 0.03 of the steps and a cosine are theirs, too.
    """
    lora: Config = {
        "method": "lora",
        "rank": min(16, largest_rank(shape)),
        "alpha": 32,
        "dropout": 0.0,
        "targets": "all",
        "top_layers": shape.layers,
        "use_rslora": False,
        "use_dora": False,
        "learning_rate": 2e-4,
        "batch_size": 16,
        "weight_decay": 0.0,
        "warmup_ratio": 0.03,
        "schedule": "cosine",
    }
    return [("base", {"method": "base"}), ("literature-default", lora)]


def preference_references(shape: ModelShape) -> list[tuple[str, Config]]:
    """The model as it is, and TRL's own settings for DPO with LoRA, as (label, configuration).

    TRL's example of DPO with LoRA trains rank 32 and alpha 16 at 5e-6 with a linear schedule, 16 pairs a step and
    β 0.1.
    """
    base, (label, config) = language_model_references(shape)
    own: Config = {
        "rank": min(32, largest_rank(shape)),
        "alpha": 16,
        "learning_rate": 5e-6,
        "warmup_ratio": 0.0,
        "schedule": "linear",
        "dpo_beta": 0.1,
    }
    return [base, (label, config | own)]


def random_entries(shape: ModelShape, entries: int) -> tuple[str, Config]:
    """As many single entries at random as the literature's LoRA has parameters (at most a million), as (label,
    configuration): what any structure must beat (Su et al. 2023, arXiv 2306.02320)."""
    config: Config = {
        "method": "apet",
        "entries": min(entries, MOST_ENTRIES),
        "place": "random",
        "targets": "all",
        "top_layers": shape.layers,
        "learning_rate": 1e-3,
        **_TRAINING,
    }
    return "random-entries", config
