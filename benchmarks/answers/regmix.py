"""Ranking unseen mixtures of RegMix's public runs: our regression beside gradient boosting and a linear model."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from predictors.mixture_regression import fit_mixture_regression

AIMS = {"1m": 0.995, "60m": 0.992}
TARGET = "the_pile_pile_cc"
Floats = NDArray[np.float64]


def measure(data: Path, quick: bool) -> dict[str, Any]:
    """Spearman correlation on unseen mixtures at 1M and 60M for every loss (quick: the Pile-CC loss only)."""
    domains, weights = _read(data, "train_mixture_1m.csv")
    names, losses = _read(data, "train_pile_loss_1m.csv")
    unseen = {size: _read(data, f"test_mixture_{size}.csv")[1] for size in AIMS}
    truth = {size: _read(data, f"test_pile_loss_{size}.csv")[1] for size in AIMS}
    wanted = [index for index, name in enumerate(names) if TARGET in name or not quick]
    rows = {names[index]: _one(weights, losses, domains, unseen, truth, index) for index in wanted}
    main = next(row for name, row in rows.items() if TARGET in name)
    return {
        "losses": rows,
        "mean_rank_correlation": {
            model: {size: float(np.mean([row[model][size] for row in rows.values()])) for size in AIMS}
            for model in ("peftsearch", "gradient boosting", "linear")
        },
        "mean_coverage_of_90_percent_1m": float(np.mean([row["coverage_1m"] for row in rows.values()])),
        "measured_1m_ranks_60m": float(np.mean([row["measured_1m_ranks_60m"] for row in rows.values()])),
        "aim": AIMS,
        "reached": {size: main["peftsearch"][size] >= aim for size, aim in AIMS.items()},
    }


def _one(
    weights: Floats,
    losses: Floats,
    domains: list[str],
    unseen: dict[str, Floats],
    truth: dict[str, Floats],
    index: int,
) -> dict[str, Any]:
    start = time.perf_counter()
    regression = fit_mixture_regression(weights, losses[:, index], domains)
    seconds = time.perf_counter() - start
    peers = {
        "gradient boosting": HistGradientBoostingRegressor(learning_rate=0.05, max_iter=400, random_state=0),
        "linear": LinearRegression(),
    }
    row: dict[str, Any] = {"fit_seconds": seconds}
    row["peftsearch"] = {size: _rank(regression.mean(unseen[size]), truth[size][:, index]) for size in AIMS}
    for name, peer in peers.items():
        peer.fit(weights, losses[:, index])
        row[name] = {size: _rank(peer.predict(unseen[size]), truth[size][:, index]) for size in AIMS}
    mean, half = regression.predict(unseen["1m"])
    # The same mixtures were trained at both sizes: no model of the 1M losses, however good, need rank 60M better.
    row["measured_1m_ranks_60m"] = _rank(truth["1m"][:, index], truth["60m"][:, index])
    return row | {"coverage_1m": float(np.mean(np.abs(truth["1m"][:, index] - mean) <= half))}


def _rank(predicted: Floats, measured: Floats) -> float:
    return float(spearmanr(predicted, measured).statistic)


def _read(data: Path, name: str) -> tuple[list[str], Floats]:
    """Column names and rows in the order of the index; mixtures are made to sum to one."""
    with (data / "hpo/regmix" / name).open() as file:
        header, *rows = csv.reader(file)
    table = np.array([[float(value) for value in row[1:]] for row in sorted(rows, key=lambda row: int(row[0]))])
    return header[1:], table / table.sum(axis=1, keepdims=True) if "mixture" in name else table
