"""Writes docs/models.md from the families in `workers/models/families/` and what methods need. Needs transformers.

python -m workers.methods.families_page > docs/models.md
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transformers import AutoConfig

from workers.methods.registry import methods
from workers.models.description import ModelDescription, describe_config
from workers.models.families.registry import families, heads

_INTRODUCTION = """# Models

Written by `python -m workers.methods.families_page` from `workers/models/families/`, one file each; a test keeps it so.
A model is known by the `model_type` of its `config.json`; [other classes](#other-classes) do less. Weights are
safetensors, whole or in shards, in any number format; no code of a model's own is run. Tiny models of every family,
with grouped keys and values, heads of a size of their own, narrow embeddings and missing padding tokens, go through the
methods' promises in `tests/workers/models/` (`make test-families` takes all pairs, `make test` a sample).

- **targets** mean the same everywhere: `qv` are the layers that make queries and values (where one layer makes queries,
  keys and values it counts as all three), `attention` these, the keys' and the one behind them, `mlp` the feed-forward
  part with its gate, `all` both. `top_layers` counts from the last layer.
- **engine**: on models marked *reference* nothing is stored of the lower layers, and trials train one by one.
- **heads** are those that transformers puts on the family (`AutoModelFor` with `SequenceClassification`,
  `TokenClassification`, `QuestionAnswering`, `CausalLM`, `ImageClassification` or `AudioClassification` behind it). A
  task that needs another one is refused.
- **not here** are methods that need what the family has not; spaces leave them out, and naming one is refused. Those
  that are made for one type of task ([methods](methods.md)) are not listed.

| family | `model_type` | heads | head reads | engine | not here |
|---|---|---|---|---|---|
"""
_OTHERS = """
## Other classes
Any other class of transformers that is one stack of layers for texts and has a head for the task (OPT, BLOOM, Falcon,
GPT-J, Phi-2, StableLM, OLMo, DeBERTa v1, Funnel, BigBird, Longformer, RemBERT, ESM, ERNIE and some forty more) trains
on the reference engine. Its layers, linear layers and norms are found by the names and shapes in its checkpoint, and
compared with the model once that is loaded; what each of them is for is not known. So `targets` is `all`, and these
methods are left out: {absent}.
The base is not quantised, and nothing of it is stored.

Refused by name: encoders with a decoder (BART; of T5 and Whisper the encoder serves), layers that hold experts
(Mixtral, GPT-OSS), models that also read images or sound (of Gemma 3 take the language part, saved by itself), layers
that are not alike (Qwen3.5, Jamba), weights that no linear layer holds (the first GPT, SqueezeBERT, I-BERT), and code
of a model's own.
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
    return _INTRODUCTION + "\n".join([*rows, "", *notes, ""]) + _OTHERS.format(absent=_absent(_without_family()))


def _usual(model_type: str) -> ModelDescription:
    """The description of a family's model in the sizes that transformers gives it."""
    config: dict[str, Any] = AutoConfig.for_model(model_type).to_dict()
    return describe_config(config)


def _without_family() -> ModelDescription:
    """BERT as it would be described without its family."""
    model = _usual("bert")
    linears = tuple(replace(linear, groups=frozenset({"linear"})) for linear in model.anatomy.linears)
    parts = replace(model.anatomy, linears=linears, feed_forward="", plain_attention=False, takes_past=False)
    return replace(model, anatomy=replace(parts, known_parts=False))


def _cells(model: ModelDescription) -> str:
    parts, served = model.anatomy, heads(model.anatomy.model_type)
    reads = _READS[parts.reads] if parts.reads else "the last token" if parts.causal else "the first token"
    if served == {"TokenClassification"}:
        reads = _READS["all"]
    named = ", ".join(sorted(name.removesuffix("Classification").removesuffix("Answering") for name in served))
    engine = "fast" if parts.reads else "reference"
    return " | ".join((named, reads, engine, _absent(model) or "nothing"))


def _absent(model: ModelDescription) -> str:
    return ", ".join(f"`{name}`" for name, one in sorted(methods().items()) if not (one.tasks or one.supports(model)))


if __name__ == "__main__":
    print(page(), end="")
