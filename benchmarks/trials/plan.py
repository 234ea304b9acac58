"""Which trials are recorded, in which order. Imports no torch.

One *configuration* is a method, its knobs and the training hyperparameters. Every configuration is trained on every
data set with the same rows, epochs and seed, so that tables can be compared cell by cell. There are two parts:

- `methods`: five configurations of each registered method, from its own space. The learning rates of the first four
  lie in different fourths of the method's own range (on its log scale); the first has the method's default knobs, the
  next three sampled ones, and the fifth the default knobs again, in the highest fourth.
- `lora`: one space sampled densely, the `lora` preset: rank, alpha, dropout, targets, layers, variants, learning rate,
  batch size, weight decay, warm-up, schedule.

About an eighth of the configurations is trained with a second seed too, and a few a second time in float32. What is
drawn for a method depends on its name and its space alone, so methods that are registered later add trials and
change none. The order goes round over methods, LoRA and data sets: a table stopped at any time is balanced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from math import exp, log
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import qmc

from search_spaces.presets.lora import lora
from search_spaces.space import config_hash
from workers.assignment import Assignment
from workers.hyperparameters import Hyperparameters
from workers.methods.declaration.method import Method
from workers.methods.registry import methods
from workers.models.description import describe, of_type, with_texts
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.registry import task

Part = Literal["methods", "lora"]
Split = Literal["validation", "test"]

MODEL = "builtin:minilm"
DATA_SETS = ("trec", "ag_news", "sst2")
EPOCHS = 4
ROWS = {"train": 160, "validation": 200, "test": 400}
MAX_LENGTH = 20  # tokens
DATA_SEED = 0
PRECISION: Literal["bf16"] = "bf16"

STRATA = 4
# High rates first: a training of forty steps needs them, and a table stopped early should hold good trials.
_STRATUM_ORDER = (2, 3, 1, 0, 3)
LORA_CONFIGURATIONS = 200
# Trained in float32 as well: methods of different kinds.
PAIRED = ("lora", "dora", "adapter_houlsby", "ia3", "boft", "prefix_tuning", "ssf")


@dataclass(frozen=True)
class Entry:
    """One trial to record. `split` is where its metrics come from: `test` is for confirmed configurations only."""

    part: Part
    data_set: str
    config: dict[str, Any]
    seed: int = 0
    precision: Literal["bf16", "fp32"] = PRECISION
    split: Split = "validation"

    @cached_property
    def key(self) -> str:
        """A stable name (16 hex digits) of everything that the numbers depend on, code and machine aside."""
        content = (
            [self.data_set, self.split, config_hash(self.config), self.seed, self.precision],
            [MODEL, EPOCHS, ROWS["train"], ROWS[self.split], MAX_LENGTH, DATA_SEED],
        )
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def task(self, data: Path) -> TextClassificationSpec:
        """The task, with data sets below the folder `data`."""
        folder = data / self.data_set
        return TextClassificationSpec(
            model=MODEL,
            train=str(folder / "train.jsonl"),
            validation=str(folder / f"{self.split}.jsonl"),
            max_length=MAX_LENGTH,
            train_rows=ROWS["train"],
            validation_rows=ROWS[self.split],
        )

    def assignment(self, data: Path) -> Assignment:
        """What a worker is given. Latency follows from configuration and text length: it is measured once for each
        configuration. Test rows are looked at once, after the last step."""
        return Assignment(
            trial_id=self.key,
            attempt=1,
            task=self.task(data),
            config=self.config,
            epochs=EPOCHS,
            seed=self.seed,
            data_seed=DATA_SEED,
            reports_per_epoch=0 if self.split == "test" else 1,
            measure_latency=self.split == "validation" and self.data_set == DATA_SETS[0] and self.seed == 0,
        )


def plan() -> Iterator[Entry]:
    """Every trial of the table, in the order of recording."""
    dense = iter(lora_configurations())
    rounds = list(zip(*(method_configurations(one) for one in comparable(methods().values())), strict=True))
    share = LORA_CONFIGURATIONS // len(rounds)
    for number, round_ in enumerate(rounds):
        own = [next(dense) for _ in range(share)]
        for part, config in _interleaved(round_, own):
            yield from _trials(part, config, paired=number == 0)


def comparable(among: Iterable[Method]) -> list[Method]:
    """The methods that work on the model and the type of task of the table: those of other types are left out."""
    model = of_type(describe(MODEL), task("text-classification"))
    return [one for one in among if one.supports(model)]


def method_entries(one: Method, data_set: str) -> list[Entry]:
    """The trials that tune `one` on a data set: its configurations with the first seed."""
    return [Entry("methods", data_set, config) for config in method_configurations(one)]


def method_configurations(one: Method) -> list[dict[str, Any]]:
    """The five configurations of a method, in the order of recording."""
    model = with_texts(describe(MODEL), MAX_LENGTH)
    space, rates = one.space(model), one.learning_rates
    rng = np.random.default_rng(list(hashlib.sha256(one.name.encode()).digest()))
    sampled = space.from_uniform(rng.random((STRATA - 1, space.draws)))
    training = Hyperparameters().model_dump()
    defaults = {name: training[name] for name in space.by_name if name in training}
    default = {"method": one.name, **defaults, **one.complete(model, {})}
    knobs = [default, *sampled, default]
    span = log(rates.high / rates.low)
    found = []
    for config, stratum, jitter in zip(knobs, _STRATUM_ORDER, rng.random(len(knobs)).tolist(), strict=True):
        rate = rates.low * exp(span * (stratum + jitter) / STRATA)
        found.append(space.arrange({**config, "learning_rate": float(f"{rate:.6g}")}))
        space.validate(found[-1])
    return found


def lora_configurations() -> list[dict[str, Any]]:
    """A scrambled Sobol sequence through the `lora` preset, following its priors."""
    space = lora(describe(MODEL).shape)
    sequence = qmc.Sobol(space.draws, seed=0)
    return space.from_uniform(sequence.random_base2(8)[:LORA_CONFIGURATIONS])


def _interleaved(
    round_: tuple[dict[str, Any], ...], dense: list[dict[str, Any]]
) -> Iterator[tuple[Part, dict[str, Any]]]:
    """The configurations of both parts, those of the shorter one spread evenly among the others."""
    stride = -(-len(round_) // len(dense))
    groups = [round_[start : start + stride] for start in range(0, len(round_), stride)]
    for group, extra in zip_longest(groups, dense):
        yield from (("methods", config) for config in group or ())
        if extra is not None:
            yield "lora", extra


def _trials(part: Part, config: dict[str, Any], paired: bool) -> Iterator[Entry]:
    """A configuration on every data set; its second seed and its float32 twins where it has them."""
    variants: list[dict[str, Any]] = [{}]
    if int(config_hash(config), 16) % 8 == 0:
        variants.append({"seed": 1})
    if paired and part == "methods" and config["method"] in PAIRED:
        variants.append({"precision": "fp32"})
    yield from chain.from_iterable(
        (Entry(part, data_set, config, **variant) for data_set in DATA_SETS) for variant in variants
    )
