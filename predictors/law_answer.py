"""From rows of runs to a law of one's own, its errors, and what it says for a size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from predictors.answer import Answer, Range
from predictors.law_fit import SETTINGS, SIZES, FittedLaw, Runs, fit_law
from predictors.loss_model import fit_loss_model

_ARRAYS = ("optimum", "covariance", "curvature", "left_out_error")
COLUMNS = (*SIZES, *SETTINGS, "loss")
UNSAID = 2 * ({"low": 0.0, "high": 1e30, "unit": ""},)
"""Settings tried, of a law that was kept before that was kept with it: no answer can lie outside."""


def fitted(
    rows: Sequence[Mapping[str, float]], sizes: Mapping[str, float] | None, level: float,
    variables: Sequence[str] = SIZES,
) -> dict[str, Any]:  # fmt: skip
    """Fit a law to runs and, when a size is given, answer for it.

    Args:
        rows: each with the `variables`, `learning_rate`, `batch` and `loss`.
        sizes: the size to answer for, by variable.
        level: probability that the intervals cover.
        variables: the sizes that the law shall depend on.

    Raises:
        OutOfDomain: as `Runs.read` and `fit_law`, or `sizes` are not the law's.
    """
    columns = {name: np.array([row[name] for row in rows]) for name in (*variables, *SETTINGS, "loss")}
    runs = Runs.read(columns, variables)
    found: dict[str, Any] = {"best": None, "choice_cost": None, "prediction": None}
    if sizes is None:
        law = fit_law(runs)
    else:
        model = fit_loss_model(runs)
        law = model.law
        found["prediction"] = plain(law.answer(sizes, level))
        tried = np.unique(runs.settings(), axis=0)
        point = np.tile([1.0, *(np.log(sizes[name]) for name in variables)], (len(tried), 1))
        rate, batch = np.exp(tried[int(np.argmin(model.score(point, tried)))])
        found["best"] = {"learning_rate": float(rate), "batch": float(batch)}
        found["choice_cost"] = model.left_out_cost
    return found | {
        "learning_rate": _exponents(law, 0),
        "batch": _exponents(law, 1),
        "batch_edge": law.batch_edge,
        "rows": len(rows),
        "cells": int(runs.cell.max()) + 1,
        "law": to_json(law),
    }


def averaged(rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Repeated trainings of one point as one row with their mean loss."""
    points: dict[tuple[tuple[str, float], ...], list[float]] = defaultdict(list)
    for row in rows:
        key = tuple(sorted((name, value) for name, value in row.items() if name != "loss"))
        points[key].append(row["loss"])
    return [{**dict(key), "loss": float(np.mean(losses))} for key, losses in points.items()]


def variables_of(rows: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
    """The sizes that the rows tell apart: the rank only where it does not follow from the trained parameters."""
    names = ["parameters", "tokens"]
    if rows and all("rank" in row for row in rows):
        logs = np.log([[row["parameters"], row["rank"]] for row in rows])
        moves_alone = np.linalg.matrix_rank(logs - logs.mean(axis=0), tol=1e-6 * len(rows)) == 2
        names += ["rank"] if moves_alone else []
    return tuple(name for name in names if len({row[name] for row in rows}) > 1)


def _exponents(law: FittedLaw, index: int) -> dict[str, Any]:
    return {
        "coefficient": float(law.optimum[index][0]),
        "exponents": dict(zip(law.variables, map(float, law.optimum[index][1:]), strict=True)),
        "standard_errors": [float(value) for value in np.sqrt(np.diag(law.covariance[index]))],
        "left_out_error": float(np.sqrt(np.mean(law.left_out_error[:, index] ** 2))),
    }


def to_json(law: FittedLaw) -> dict[str, Any]:
    """The stored form of a law."""
    arrays = {name: getattr(law, name).tolist() for name in _ARRAYS}
    ranges, tried = ([asdict(one) for one in each] for each in (law.ranges, law.tried))
    plain_fields = {"variables": list(law.variables), "rows": law.rows, "batch_edge": law.batch_edge}
    return {"ranges": ranges, "tried": tried, **plain_fields, **arrays}


def from_json(value: Mapping[str, Any]) -> FittedLaw:
    """The inverse of `to_json`."""
    arrays = {name: np.array(value[name], dtype=np.float64) for name in _ARRAYS}
    ranges, (rates, batches) = (
        [Range(**one) for one in each] for each in (value["ranges"], value.get("tried", UNSAID))
    )
    return FittedLaw(
        variables=tuple(value["variables"]),
        ranges=tuple(ranges),
        tried=(rates, batches),
        batch_edge=value.get("batch_edge"),
        rows=int(value["rows"]),
        **arrays,
    )


def plain(answer: Answer) -> dict[str, Any]:
    """An answer as JSON, each quantity a field of its own."""
    named = answer.quantities.items()
    return {
        **{name: quantity.value for name, quantity in named},
        "units": {name: quantity.unit for name, quantity in named},
        "intervals": {name: vars(quantity.interval) for name, quantity in named if quantity.interval is not None},
        "source": answer.source,
        "standing": answer.standing,
        "valid_for": answer.valid_for,
        "warnings": list(answer.warnings),
    }
