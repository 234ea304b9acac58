"""From rows of runs to a law of one's own, its errors, and what it says for a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predictors.answer import Answer, OutOfDomain
from predictors.law_fit import FittedLaw, Runs, fit_law
from predictors.loss_model import fit_loss_model

COLUMNS = ("parameters", "tokens", "learning_rate", "batch", "loss")


def fitted(
    rows: Sequence[Mapping[str, float]], parameters: float | None, tokens: float | None, level: float
) -> dict[str, Any]:
    """Fit a law to runs and, when a size is given, answer for it.

    Args:
        rows: each with `COLUMNS`.
        parameters, tokens: the size to answer for; both or neither.
        level: probability that the intervals cover.

    Raises:
        OutOfDomain: as `Runs.read` and `fit_law`, or only one of `parameters` and `tokens`.
    """
    if (parameters is None) != (tokens is None):
        raise OutOfDomain("parameters, tokens", (parameters, tokens), "both or neither")
    runs = Runs.read({name: np.array([row[name] for row in rows]) for name in COLUMNS})
    found: dict[str, Any] = {"best": None, "choice_cost": None, "prediction": None}
    if parameters is None or tokens is None:
        law = fit_law(runs)
    else:
        model = fit_loss_model(runs)
        law = model.law
        tried = np.unique(runs.settings(), axis=0)
        sizes = np.tile([1.0, np.log(parameters), np.log(tokens)], (len(tried), 1))
        rate, batch = np.exp(tried[int(np.argmin(model.score(sizes, tried)))])
        found["best"] = {"learning_rate": float(rate), "batch": float(batch)}
        found["choice_cost"] = model.left_out_cost
        found["prediction"] = _plain(law.answer(parameters, tokens, level))
    return found | {
        "learning_rate": _exponents(law, 0),
        "batch": _exponents(law, 1),
        "rows": len(rows),
        "pairs": int(runs.cell.max()) + 1,
    }


def _exponents(law: FittedLaw, index: int) -> dict[str, Any]:
    coefficient, by_parameters, by_tokens = (float(value) for value in law.optimum[index])
    return {
        "coefficient": coefficient,
        "parameters": by_parameters,
        "tokens": by_tokens,
        "standard_errors": [float(value) for value in np.sqrt(np.diag(law.covariance[index]))],
        "left_out_error": float(np.sqrt(np.mean(law.left_out_error[:, index] ** 2))),
    }


def _plain(answer: Answer) -> dict[str, Any]:
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
