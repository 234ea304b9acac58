"""Writes docs/methods.md from the registry and the results of `python -m benchmarks.methods`. Imports no torch.

python -m workers.methods.page > docs/methods.md
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from search_spaces.parameters import Categorical, Float, Int, Parameter
from workers.methods.declaration.method import Method
from workers.methods.declaration.needs import IMAGES
from workers.methods.measured import measured_section, read_measured
from workers.methods.registry import methods
from workers.models.description import ModelDescription, describe

_INTRODUCTION = """# Methods

Written by `python -m workers.methods.page` from the registry in `workers/methods/catalogue/`; a test keeps it so.
Every method below passes the conformance suite (`tests/workers/methods/test_conformance.py`) on a tiny encoder, where
it applies on a tiny decoder, and on the pretrained `builtin:minilm` with real text: outputs are unchanged at the start
where that is promised, exactly the intended tensors change, the number of trained parameters equals the formula, the
loss falls, an exported adapter gives the same logits in a fresh process, merged equals unmerged to 1e-5, padding does
not matter, and configurations sampled from its space never fail to attach.

How to read the tables:
- **parameters** are those of the method's defaults on `builtin:minilm` (6 layers, hidden size 384), without the
  classification head, which every method trains too.
- **learning rate** is the range that is searched, on a log scale, and in brackets where its prior has its mode. The
  ranges follow the publications where these tune encoders; they are starting points, not results.
- **merges**: the trained adapter folds into the base weights, so it costs nothing at inference.
- **start**: `base` when outputs equal the frozen model's before the first step.
- **format** `peft` loads with plain Hugging Face peft; `own` with `peftsearch.load_adapter`.
- `dylora` trains every rank up to its own at once: `load_adapter(base, folder, rank=4)` takes it at rank 4. Its trials
  tell their metrics at every power of two below their rank (`accuracy_at_rank_4`), and for a search each of these is a
  trial of that rank. Cut to rank 1 of 16 it beat a LoRA that was trained at 16 and cut, however rescaled (loss 0.39
  against 0.84); at rank 2 it did not (0.16 against 0.07; one seed, small data).
- `role_adapters` is several adapters with a rank each: `where` tokens look, `what` they take from there, and `features`
  of the feed-forward part. `load_adapter(base, folder, without=["what"])` leaves roles out; the others stay.
- `–` stands where a method is not for such a model or task; the column **models** says what it is for, and the knobs of
  a method for images are those on `builtin:vit`. `tests/workers/methods/test_cpt.py`,
  `tests/workers/tasks/test_language_model_methods.py` and `tests/workers/methods/test_token_merging.py` hold them to
  the same, and `test_mtlora.py`, `test_polyhistor.py` and `test_conpet.py` do `mtlora`, `polyhistor`, `conpet`, whose
  parameters are counted here for one task.
- **models** are those it works on, when not all of the [families](models.md).
- `e2e_qp` and `l4q` train steps as logarithms, so that a rate is the share by which a step changes (`rate_ratio`: that
  of `l4q`'s steps, in multiples of the rate of its LoRA). Their exports hold `quantised.safetensors` besides: for each
  adapted layer `integers` [out, in] (one byte each, whatever the bits) and `steps` [out, in / group], whose products
  are the layer's weights, and the head. At 4 bits `l4q` was no better than a LoRA whose merged weights were rounded
  afterwards: loss 0.151 against 0.147 (0.137 unrounded) on 32 rows of text after sixty steps at the best `rate_ratio`
  of five, one step for 128 weights, one seed.

Costs of a trial: latency is the base's, measured once for a machine, times how much longer passes take that alternate
with the base's (1 where a method merges; [why](decisions/latency.md)). `peak_memory_mb` is
an account, not a reading: trained parameters, gradients and AdamW's two moments, and the activations that the largest
batch keeps for the backward pass. The resident size of a process that ran other trials would say nothing.
`train_tflops` counts forward passes through the whole model and backward passes through the layers from the lowest
adapted one up, and both through a language model's head for the tokens with a target; losses that a training strategy
takes without gradients (all of `spsa_gc`'s, those of `ist` with suppressed layers) go forward alone. Rows whose
gradients a method looks at before its first step (`light_peft`, `colora`, `lora_ga`) count as well, and so do their
seconds; of layers that are smaller or passed by (`light_peft`, `das`) what is left counts. `sparsity` is the share of
the encoder's weights that are zero once the adapter is folded in.

## Rates of adapters and prefixes
In `autopeft`, `mam` and the `adapter_…` methods of Houlsby, Pfeiffer and He one learning rate suits modules of every
size. With AdamW a weight moves by about its rate whatever its gradient is, so the output s·W_up·f(…) of an adapter of k
units moves the faster the larger s and k are. At one rate for all, 3e-3, an adapter of 384 units scaled by 4 fell to
0.39 on TREC and to 0.25, chance, on AG News, where one of 3 units had 0.40 and 0.77 and wanted more (160 rows, forty
steps, one seed); prefixes had hardly moved. So W_up learns at 84 / (s·k^¾) times the trial's rate, W_down at half of
it, prefixes at 32 times it, the rest at the rate itself. The range searched ends where the widest adapters in all
layers still train with small batches and no decay ([measurements](decisions/relative-rates.md)).
"""

_COLUMNS = (
    "method",
    "what it trains",
    "parameters",
    "learning rate",
    "merges",
    "start",
    "format",
    "knobs",
    "models",
    "source",
)

_NOT_REGISTERED = """## Not registered, and why

| method | reason |
|---|---|
| adaption_prompt | is `llama_adapter` here: peft's leaves the classification head untrained |
| shira | is `apet` here: peft's has one mask for all seeds and alike layers, and counts by rank |
| shadow | peft's leaves parameters of the last layer without gradients |
| xlora, arrow (a LoRA option) | mix trained LoRA adapters; a trial starts from none |
| poly, multitask_prompt_tuning | need the id of a task with every row |
| trainable_tokens | leaves the classification head untrained |
| osf | trains most of the model and is made for continual learning |
| loftq | needs bitsandbytes |
| layer_replication, a LoRA option | merged and unmerged outputs differ |
| pvera | draws noise of the shape of the padded batch, so the two engines cannot give equal numbers |
| frod, adamss | the number of trained parameters depends on the weights, not on the knobs alone |
| monteclora, a LoRA option | draws its samples ahead into a buffer that no checkpoint holds |
| qalora, a LoRA option | peft applies it to GPTQ weights only; elsewhere it is plain LoRA |
| alora, a LoRA option | acts behind a given text inside the prompt of a decoder |
| lily | its router averages over the tokens of a batch, so a row's outputs depend on its neighbours and on padding |
| cartridge | is `prefix_tuning` with a frozen part |
| scalearn | combines trained adapters of other tasks: a step of [refine jobs](refine.md) |
"""


def page(measured: Mapping[str, Any] | None) -> str:
    """The whole page, Markdown."""
    model = describe("builtin:minilm")
    parts = [_INTRODUCTION]
    by_family = sorted(methods().values(), key=lambda one: (one.family, one.name))
    parts.append(f"{len(by_family)} methods and variants.\n")
    for family, members in groupby(by_family, key=lambda one: one.family):
        parts.append(f"## {family}\n")
        parts.append("| " + " | ".join(_COLUMNS) + " |")
        parts.append("|" + "---|" * len(_COLUMNS))
        parts += [_row(one, model) for one in members]
        parts.append("")
    return "\n".join([*parts, measured_section(measured), _NOT_REGISTERED])


def _row(one: Method, model: ModelDescription) -> str:
    rates = one.learning_rates
    shown = describe("builtin:vit") if IMAGES in one.needs else model
    name = f"`{one.name}`" + (f" (variant of `{one.variant_of}`)" if one.variant_of else "")
    cells = (
        name,
        one.summary,
        f"{one.trainable_parameters(model, one.complete(model, {})):,}" if one.supports(model) else "–",
        f"{rates.low:g}-{rates.high:g} ({rates.mode:g})",
        "yes" if one.mergeable else "no",
        "base" if one.unchanged_at_start else "other",
        "peft" if one.format == "peft" else "own",
        "; ".join(_knob(parameter) for parameter in one.knobs(shown).parameters) or "none",
        "; ".join([*(need.says for need in one.needs), *_tasks(one)]) or "all",
        one.source,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _tasks(one: Method) -> list[str]:
    return [f"tasks of type {' or '.join(one.tasks)}"] if one.tasks else []


def _knob(parameter: Parameter) -> str:
    if isinstance(parameter, Float | Int):
        scale = " log" if parameter.scale == "log" else ""
        return f"{parameter.name} {parameter.low:g}-{parameter.high:g}{scale}"
    values = parameter.choices if isinstance(parameter, Categorical) else getattr(parameter, "values", ())
    return f"{parameter.name} {{{', '.join(str(value) for value in values)}}}"


if __name__ == "__main__":
    print(page(read_measured()), end="")
