"""Choosing (learning rate, batch) in sizes that were held out of Step Law's public grid."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from predictors import step_law
from predictors.law_answer import COLUMNS
from predictors.law_fit import Runs
from predictors.loss_model import fit_loss_model

AIM = 0.05


def read(data: Path) -> Runs:
    """The 1,911 dense runs; the loss is the smoothed final one, the batch in tokens."""
    with (data / "hpo/steplaw/dense_lr_bs_loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ("N", "D", "lr", "bs", "smooth loss")
    table = {to: np.array([float(row[name]) for row in rows]) for to, name in zip(COLUMNS, names, strict=True)}
    return Runs.read(table | {"batch": 2048 * table["batch"]})


def measure(data: Path, quick: bool) -> dict[str, Any]:
    """Mean loss in per cent over the best run of each held-out size, for each way to choose."""
    runs = read(data)
    cells = range(0, int(runs.cell.max()) + 1, 3 if quick else 1)
    costs: dict[str, list[float]] = {"published law": [], "own law": [], "own law and process": []}
    for cell in cells:
        for name, cost in _costs(runs, cell):
            costs[name].append(cost)
    means = {name: float(np.mean(values)) for name, values in costs.items()}
    return {
        "held_out_sizes": len(cells),
        "mean_cost_percent": means,
        "median_cost_percent": {name: float(np.median(values)) for name, values in costs.items()},
        "cost_percent": costs,
        "mean_cost_percent_told_the_size": _told(runs, list(cells)),
        "aim": AIM,
        "reached": means["own law and process"] <= AIM,
    }


def _told(runs: Runs, cells: list[int]) -> float:
    """The same model when it has seen the runs of each size it chooses in: single runs are noisy, so even then its
    choice is not the run that happened to be the best."""
    score = fit_loss_model(runs).score(runs.sizes(), runs.settings())
    chosen = [runs.excess()[runs.cell == cell][np.argmin(score[runs.cell == cell])] for cell in cells]
    return float(100 * np.mean(np.expm1(chosen)))


def _costs(runs: Runs, cell: int) -> Iterable[tuple[str, float]]:
    held = runs.cell == cell
    model = fit_loss_model(runs.keep(~held))
    sizes, settings = runs.sizes()[held], runs.settings()[held]
    cost = 100 * np.expm1(runs.excess()[held])
    n, d = runs.size[held][0]
    published = np.log([step_law.learning_rate(n, d), step_law.batch_tokens(d)])
    yield "published law", float(cost[np.argmin(((settings - published) ** 2).sum(axis=1))])
    away = settings - model.law.centre(sizes)
    yield "own law", float(cost[np.argmin(np.einsum("ni,ij,nj->n", away, model.law.curvature, away))])
    yield "own law and process", float(cost[np.argmin(model.score(sizes, settings))])
