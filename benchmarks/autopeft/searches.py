"""The searches that are compared, the trials of each, and those that confirm what it found. Imports no torch.

Every method gets the same: its own knobs and learning rates, the training hyperparameters that AutoPEFT fixes, at most
`BUDGET` trained parameters, `TRIALS` trials proposed by the product's own optimizer for the best validation accuracy.
The configuration with the best one is then trained with fresh seeds and measured on test rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trials.plan import MODEL, Entry
from benchmarks.trials.recording import Line
from optimizers.problem import CompletedTrial, FailedTrial, History, Objective, Problem
from optimizers.registry import optimizer
from search_spaces.constraints import Predicate, register_predicate
from search_spaces.parameters import Categorical, Ordinal
from search_spaces.presets.training import learning_rate
from search_spaces.space import Space
from workers.assignment import Assignment
from workers.methods.registry import method
from workers.models.description import describe

METHODS = ("autopeft", "adapter_parallel", "adapter_pfeiffer", "lora")
DATA_SETS = ("trec", "ag_news")
BUDGET = 150_000
"""Trained parameters, 1.4 % of the encoder's: the larger of the two budgets of AutoPEFT's tables."""
TRIALS = 12
TRAIN_ROWS = 320
BATCH_SIZE = 16
EPOCHS = 2
SEARCH_SEEDS = (0, 1)
FRESH_SEEDS = (201, 202, 203)
SIZES = {"model": MODEL, "budget": BUDGET, "trials": TRIALS, "train_rows": TRAIN_ROWS, "batch_size": BATCH_SIZE}


@dataclass(frozen=True)
class Labelled(Entry):
    """A trial of this comparison; `label` says which: a search and its number there, or what it confirms."""

    label: str = ""

    @cached_property
    def key(self) -> str:
        """A stable name (16 hex digits) of the trial."""
        return hashlib.sha256(json.dumps([self.label, *map(str, SIZES.values())]).encode()).hexdigest()[:16]

    def assignment(self, data: Path) -> Assignment:
        """As in the table of trials, but on more rows, evaluated after the last step alone."""
        given = super().assignment(data)
        task = given.task.model_copy(update={"train_rows": TRAIN_ROWS})
        changed = {"task": task, "epochs": EPOCHS, "reports_per_epoch": 0, "measure_latency": False}
        return given.model_copy(update=changed)


@dataclass(frozen=True)
class Search:
    """One method's search on one data set."""

    method: str
    data_set: str
    seed: int

    @property
    def name(self) -> str:
        """Unique among the searches."""
        return f"{self.method}/{self.data_set}/{self.seed}"

    def trials(self, recorded: Callable[[], Mapping[str, Line]]) -> Iterator[Labelled]:
        """The trials one after another; each is proposed once the one before it is `recorded` (lines by label)."""
        for number in range(TRIALS):
            label, known = f"{self.name}/{number}", recorded()
            done = [known[f"{self.name}/{before}"] for before in range(number)]
            config = known[label]["config"] if label in known else self._proposed(done)
            yield Labelled("methods", self.data_set, config, self.seed, label=label)

    def _proposed(self, done: list[Line]) -> dict[str, Any]:
        whole = [line for line in done if line["status"] == "completed"]
        broken = [line for line in done if line["status"] != "completed"]
        history = History(
            completed=tuple(CompletedTrial(line["label"], line["config"], line["metrics"]) for line in whole),
            failed=tuple(FailedTrial(line["label"], line["config"], str(line["reason"])) for line in broken),
        )
        drawn = hashlib.sha256(f"{self.name}/{len(done)}".encode()).digest()
        problem = Problem(space(self.method), (Objective("accuracy", "maximize"),))
        searcher = optimizer("auto", seed=self.seed)
        return searcher.propose(problem, history, 1, np.random.default_rng(list(drawn))).configs[0]

    def best(self, recorded: Mapping[str, Line]) -> Line | None:
        """The trial with the best validation accuracy, the lower loss deciding ties; None while one is missing."""
        lines = [recorded.get(f"{self.name}/{number}") for number in range(TRIALS)]
        whole = [line for line in lines if line is not None and line["status"] == "completed"]
        if None in lines or not whole:
            return None
        return max(whole, key=lambda line: (line["metrics"]["accuracy"], -line["metrics"]["loss"]))

    def confirmations(self, recorded: Mapping[str, Line], data_set: str) -> list[Labelled]:
        """What was found, with fresh seeds, on test rows of a data set: its own, or another one to transfer to."""
        best = self.best(recorded)
        if best is None:
            return []
        return [
            Labelled("methods", data_set, best["config"], seed, split="test", label=f"{self.name}>{data_set}/{seed}")
            for seed in FRESH_SEEDS
        ]


def searches() -> list[Search]:
    """All of them, seed by seed, so that a comparison stopped early is balanced."""
    return [Search(name, data_set, seed) for seed in SEARCH_SEEDS for data_set in DATA_SETS for name in METHODS]


def plan(chosen: Iterable[Search], recorded: Callable[[], Mapping[str, Line]]) -> Iterator[Labelled]:
    """Every trial of the comparison: a search, then what confirms it; AutoPEFT's also on the other data set."""
    for search in chosen:
        yield from search.trials(recorded)
        targets = DATA_SETS if search.method == "autopeft" else (search.data_set,)
        for target in targets:
            yield from search.confirmations(recorded(), target)


@cache
def space(name: str) -> Space:
    """A method's own space within the budget, training hyperparameters fixed as AutoPEFT fixes them."""
    model, one = describe(MODEL), method(name)
    own, rates = one.knobs(model), one.learning_rates

    def affordable(config: Mapping[str, Any]) -> bool:
        return one.trainable_parameters(model, one.complete(model, config)) <= BUDGET

    rule = f"at_most_{BUDGET}_parameters_of_{name}"
    register_predicate(rule, affordable)
    unconditional = tuple(p.name for p in own.parameters if p.name not in {c.child for c in own.conditions})
    whole = Space(
        (
            Categorical("method", (name,)),
            *own.parameters,
            learning_rate(rates.low, rates.high, rates.mode),
            Ordinal("batch_size", (BATCH_SIZE,)),
            Ordinal("weight_decay", (0.01,)),
            Ordinal("warmup_ratio", (0.06,)),
            Categorical("schedule", ("linear",)),
        ),
        own.conditions,
        own.constraints,
    )
    budget = Predicate(rule, unconditional, f"at most {BUDGET} trained parameters")
    return replace(whole, constraints=(*whole.constraints, budget))
