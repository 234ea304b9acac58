"""The comparison of AutoPEFT with single methods: equal budgets, resumable, differences search by search."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

from benchmarks.autopeft import searches as comparison
from benchmarks.autopeft.results import results
from benchmarks.autopeft.searches import BUDGET, DATA_SETS, METHODS, TRIALS, Labelled, Search, plan, searches, space
from benchmarks.trials.plan import MODEL
from benchmarks.trials.recording import Line
from workers.hyperparameters import split_config
from workers.methods.registry import method
from workers.models.description import describe


def trained(entry: Labelled, accuracy: float, status: str = "completed") -> Line:
    metrics = {"accuracy": accuracy, "loss": 1.0, "trainable_params": 10.0} if status == "completed" else {}
    return {"label": entry.label, "config": entry.config, "status": status, "reason": None, "metrics": metrics}


def record(chosen: list[Search], accuracy: Callable[[Labelled], float]) -> dict[str, Line]:
    """Everything that the plan asks for, with made-up accuracies."""
    lines: dict[str, Line] = {}
    for entry in plan(chosen, lambda: lines):
        lines[entry.label] = trained(entry, accuracy(entry))
    return lines


@pytest.fixture
def random_proposals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proposals that cost nothing."""

    def proposed(self: Search, done: list[Line]) -> dict[str, Any]:
        return space(self.method).sample(1, np.random.default_rng(len(done)))[0]

    monkeypatch.setattr(Search, "_proposed", proposed)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_to_the_budget_and_trains_alike(name: str) -> None:
    one, model = method(name), describe(MODEL)
    shared = set()
    for config in space(name).sample(50, np.random.default_rng(0)):
        _, knobs, hyperparameters = split_config(config)
        assert one.trainable_parameters(model, one.complete(model, knobs)) <= BUDGET
        shared.add((hyperparameters.batch_size, hyperparameters.weight_decay, hyperparameters.schedule))
    assert shared == {(comparison.BATCH_SIZE, 0.01, "linear")}


def test_a_search_learns_from_its_trials_and_goes_on_where_it_stopped() -> None:
    search, lines = Search("adapter_pfeiffer", "trec", 0), {}
    for number, entry in enumerate(islice(search.trials(lambda: lines), 4)):
        lines[entry.label] = trained(entry, 0.1 * number, "failed" if number == 1 else "completed")
    first = list(islice(search.trials(lambda: lines), 4))
    assert [entry.config for entry in first] == [line["config"] for line in lines.values()]
    again = next(islice(search.trials(lambda: lines), 4, None))
    assert next(islice(search.trials(lambda: lines), 4, None)).config == again.config
    assert again.config not in [line["config"] for line in lines.values()]
    assert search.best(lines) is None  # not through yet


@pytest.mark.usefixtures("random_proposals")
def test_differences_are_those_of_equal_searches_and_transfer_is_told_apart() -> None:
    chosen = searches()

    def accuracy(entry: Labelled) -> float:
        name, source = entry.label.split("/")[:2]
        if entry.split == "validation":
            return 0.5 + 0.001 * int(entry.label.rpartition("/")[2])
        bonus = {"autopeft": 0.1, "lora": 0.05}.get(name, 0.0) + (0.0 if entry.data_set == source else -0.02)
        return 0.6 + bonus + (0.2 if entry.data_set == "ag_news" else 0.0)

    lines = record(chosen, accuracy)
    found = results(lines)
    assert len(found["searches"]) == len(chosen) / len(METHODS)
    assert found["ahead_of"]["lora"]["mean"] == pytest.approx(0.05)
    assert found["ahead_of"]["adapter_parallel"]["mean"] == pytest.approx(0.1)
    assert found["methods"]["autopeft"]["by_data_set"] == {"trec": 0.7, "ag_news": 0.9}
    moved = next(one for one in found["transfer"] if one["to"] == "ag_news")
    assert (moved["accuracy"], moved["searched_there"]) == (pytest.approx(0.88), pytest.approx(0.9))
    assert moved["best_single"] == {"method": "lora", "accuracy": pytest.approx(0.85)}
    last = f"{METHODS[-1]}/{DATA_SETS[0]}/0/{TRIALS - 1}"
    assert len(results({label: line for label, line in lines.items() if label != last})["searches"]) == 3


def test_the_best_trial_is_confirmed_and_a_failed_training_counts() -> None:
    search = Search("lora", "trec", 0)
    entries = [Labelled("methods", "trec", {"number": n}, label=f"{search.name}/{n}") for n in range(TRIALS)]
    lines = {entry.label: trained(entry, 0.5 if n != 3 else 0.6) for n, entry in enumerate(entries)}
    lines[entries[7].label] = trained(entries[7], 0.0, "failed")
    best = search.best(lines)
    assert best is not None
    assert best["config"] == {"number": 3}
    confirmed = search.confirmations(lines, "trec")
    assert {entry.split for entry in confirmed} == {"test"}
    assert len({entry.key for entry in (*entries, *confirmed)}) == TRIALS + 3
