"""Recorded searches of one family as numbers: the same columns for each data set, so that what was learnt on one holds
on the next. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.tables import complete_grid, step_law
from benchmarks.trials.table import trials
from predictors.config_features import encode

Floats = NDArray[np.float64]
MOST_ROWS = 600  # of a complete grid, drawn once
STEP_LAW_GRIDS = 4
_GRIDS = {
    "hpobench": (
        "high",
        ("hpobench_australian", "hpobench_blood_transfusion", "hpobench_credit_g", "hpobench_phoneme"),
    ),
    "fcnet": ("low", ("hpolib_naval_propulsion", "hpolib_parkinsons_telemonitoring")),
    "nasbench201": ("high", ("nasbench201_cifar10", "nasbench201_cifar100")),
}


@dataclass(frozen=True)
class Recorded:
    """One data set of a family: `inputs [rows, columns]` from 0 to 1, `values [rows]` to be minimised."""

    family: str
    name: str
    inputs: Floats
    values: Floats


def recorded(hpo: Path) -> list[Recorded]:
    """Every table: our own LoRA trials, and the public grids in the folder `hpo`."""
    return [*_family("peft_lora", list(_own())), *_public(hpo)]


def _own() -> Iterator[tuple[str, list[dict[str, Any]], Floats]]:
    for name in ("trec", "ag_news", "sst2"):
        found = trials(part="lora", data_set=name)
        yield name, [trial.config for trial in found], np.array([trial.metrics["loss"] for trial in found])


def _public(hpo: Path) -> Iterator[Recorded]:
    draw = np.random.default_rng(0)
    for family, (better, names) in _GRIDS.items():
        tables = []
        for name in names:
            given = complete_grid(name, better, data=hpo)
            rows = draw.choice(len(given.listed), min(MOST_ROWS, len(given.listed)), replace=False)
            configs = [dict(given.listed[row]) for row in rows]
            values = np.array([given.measure(config, draw)["value"] for config in configs])
            tables.append((name, configs, -values if better == "high" else values))
        yield from _family(family, tables)
    grids = [step_law(group, data=hpo) for group in range(STEP_LAW_GRIDS)]
    named = [(f"steplaw/{group}", [dict(one) for one in given.listed]) for group, given in enumerate(grids)]
    measured = [np.array([given.truth(one)["loss"] for one in given.listed]) for given in grids]
    yield from _family("steplaw", [(*one, values) for one, values in zip(named, measured, strict=True)])


def _family(family: str, tables: Sequence[tuple[str, list[dict[str, Any]], Floats]]) -> list[Recorded]:
    """Encoded together, so that a column means the same in each."""
    inputs = encode([config for _, configs, _ in tables for config in configs])
    starts = np.cumsum([0, *(len(configs) for _, configs, _ in tables)])
    return [
        Recorded(family, name, inputs[start:end], values)
        for (name, _, values), start, end in zip(tables, starts[:-1], starts[1:], strict=True)
    ]


def folds(tables: Sequence[Recorded]) -> list[tuple[list[Recorded], list[Recorded]]]:
    """(seen, held out): of each family one data set after another is held out, together with one of each other."""
    families = {table.family: [one for one in tables if one.family == table.family] for table in tables}
    most = max(map(len, families.values()))
    found = []
    for number in range(most):
        out = [members[number] for members in families.values() if number < len(members)]
        found.append(([table for table in tables if all(table is not one for one in out)], out))
    return found
