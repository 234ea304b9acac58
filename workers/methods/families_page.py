"""Writes docs/models.md from the families in `workers/models/families/` and what methods need. Needs transformers.

python -m workers.methods.families_page > docs/models.md
"""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig

from workers.methods.registry import methods
from workers.models.description import ModelDescription, describe_config
from workers.models.families.registry import families

_INTRODUCTION = """# Models

Written by `python -m workers.methods.families_page` from `workers/models/families/`, one file each; a test keeps it so.
A model is known by the `model_type` of its `config.json`; others are refused with this list. Weights are safetensors,
whole or in shards, in any number format; no code of a model's own is run. Tiny models of every family, with grouped
keys and values, heads of a size of their own, narrow embeddings and missing padding tokens, go through the methods'
promises in `tests/workers/models/test_families.py` (`make test-families` takes all pairs, `make test` a sample).

- **targets** mean the same everywhere: `qv` are the layers that make queries and values (where one layer makes queries,
  keys and values it counts as all three), `attention` these, the keys' and the one behind them, `mlp` the feed-forward
  part with its gate, `all` both. `top_layers` counts from the last layer.
- **engine**: on models marked *reference* nothing is stored of the lower layers, and trials train one by one.
- **not here** are methods that need what the family has not; spaces leave them out, and naming one is refused.

| family | `model_type` | head reads | engine | not here |
|---|---|---|---|---|
"""
_READS = {"first": "the first token", "last": "the last token", "all": "all tokens"}


def page() -> str:
    """The whole page, Markdown."""
    rows, notes = [], []
    for family in sorted(dict.fromkeys(families().values()), key=lambda one: one.name):
        alike: dict[str, list[str]] = {}
        for kind in family.model_types:
            alike.setdefault(_cells(_usual(kind)), []).append(f"`{kind}`")
        rows += [f"| {family.name} | {', '.join(kinds)} | {cells} |" for cells, kinds in alike.items()]
        if family.note:
            notes.append(f"- {family.name}: {family.note}.")
    return _INTRODUCTION + "\n".join([*rows, "", *notes, ""])


def _usual(model_type: str) -> ModelDescription:
    """The description of a family's model in the sizes that transformers gives it."""
    config: dict[str, Any] = AutoConfig.for_model(model_type).to_dict()
    return describe_config(config)


def _cells(model: ModelDescription) -> str:
    parts = model.anatomy
    absent = [f"`{name}`" for name, one in sorted(methods().items()) if not one.supports(model)]
    reads = _READS[parts.reads] if parts.reads else "the last token" if parts.causal else "the first token"
    return " | ".join((reads, "fast" if parts.reads else "reference", ", ".join(absent) or "nothing"))


if __name__ == "__main__":
    print(page(), end="")
