"""From a table of mixtures and losses, by name, to a recommendation that says how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.answer import OutOfDomain
from predictors.mixture_regression import SOURCE, MixtureRegression, checked_mixtures, fit_mixture_regression
from predictors.mixture_search import recommend

Floats = NDArray[np.float64]
Row = tuple[Mapping[str, float], Mapping[str, float]]
TRUSTED_CORRELATION = 0.8
VALID_FOR = (
    "the model size, data and budget of the rows; "
    "the order of mixtures carries over to larger models, the loss does not"
)


def answer(
    rows: Sequence[Row], target: str | None, prior: Mapping[str, float] | None, level: float, seed: int
) -> dict[str, Any]:
    """Fit, search and explain.

    Args:
        rows: (weights by domain, losses by name) of each mixture that was trained on.
        target: the loss to lower; None: the mean of all.
        prior: natural proportions by domain; None: the mean of the rows.
        level: probability that the intervals cover.
        seed: of the simulation.

    Raises:
        OutOfDomain: rows that do not match, unknown domains or losses, or what no regression can be fitted to.
    """
    domains, weights, separate = table(rows, target)
    start = weights.mean(axis=0) if prior is None else _prior(prior, domains)
    regression, losses = fit_mixture_regression(weights, separate, domains, level), separate.mean(axis=1)
    found = recommend(regression, start, np.random.default_rng(seed))
    fit = _fit(regression, losses)
    best = int(np.argmin(losses))
    return asdict(found) | {
        "level": level,
        "best_measured": dict(zip(domains, map(float, weights[best]), strict=True)),
        "best_measured_loss": float(losses[best]),
        "fit": fit,
        "source": SOURCE,
        "valid_for": VALID_FOR,
        "warnings": _warnings(fit, len(domains)),
    }


def expected(
    rows: Sequence[Row], mixtures: Sequence[Mapping[str, float]], target: str | None, level: float
) -> dict[str, Any]:
    """What the regression on `rows` expects of each of `mixtures`, in their order, and how well it predicts rows that
    it has not seen. Arguments as of `answer`.

    Raises:
        OutOfDomain: as `answer` does; and a mixture of other domains, or whose weights do not sum to one.
    """
    domains, weights, separate = table(rows, target)
    for number, mixture in enumerate(mixtures):
        _same(f"mixtures.{number}", mixture, domains)
    asked = checked_mixtures(np.array([[one[name] for name in domains] for one in mixtures]), domains, "mixtures")
    regression, losses = fit_mixture_regression(weights, separate, domains, level), separate.mean(axis=1)
    middle, half = regression.predict(asked)
    fit = _fit(regression, losses)
    return {
        "items": [
            {
                "weights": dict(zip(domains, map(float, row), strict=True)),
                "loss": loss,
                "low": loss - by,
                "high": loss + by,
            }
            for row, loss, by in zip(asked, middle.tolist(), half.tolist(), strict=True)
        ],
        "level": level,
        "fit": fit,
        "source": SOURCE,
        "valid_for": VALID_FOR,
        "warnings": _warnings(fit, len(domains)),
    }


def table(rows: Sequence[Row], target: str | None) -> tuple[tuple[str, ...], Floats, Floats]:
    """Domains, weights `[n, d]` and the losses to lower `[n, k]`.

    Raises OutOfDomain at the first row that does not match.
    """
    domains, names = tuple(rows[0][0]), tuple(rows[0][1])
    for number, (weights, losses) in enumerate(rows):
        _same(f"rows.{number}.weights", weights, domains)
        _same(f"rows.{number}.losses", losses, names)
    if target is not None and target not in names:
        raise OutOfDomain("target", target, f"one of the losses: {', '.join(names)}")
    wanted = names if target is None else (target,)
    mixtures = np.array([[row[0][name] for name in domains] for row in rows])
    measured = np.array([[row[1][name] for name in wanted] for row in rows])
    return domains, checked_mixtures(mixtures, domains, "rows"), measured


def _same(field: str, found: Mapping[str, float], names: tuple[str, ...]) -> None:
    if set(found) != set(names):
        unknown, missing = sorted(set(found) - set(names)), sorted(set(names) - set(found))
        told = "; ".join(
            f"{word} {', '.join(which)}" for word, which in (("unknown:", unknown), ("missing:", missing)) if which
        )
        raise OutOfDomain(field, told, f"the names of the first row: {', '.join(names)}")


def _prior(prior: Mapping[str, float], domains: tuple[str, ...]) -> Floats:
    _same("prior", prior, domains)
    shares = np.array([prior[name] for name in domains])
    if not (np.all(np.isfinite(shares) & (shares >= 0)) and abs(shares.sum() - 1) < 0.02):
        raise OutOfDomain("prior", float(shares.sum()), "weights that are not negative and sum to one")
    return np.asarray(shares / shares.sum())


def _fit(regression: MixtureRegression, losses: Floats) -> dict[str, float]:
    from scipy.stats import spearmanr

    correlation = float(spearmanr(regression.left_out, losses).statistic)
    error = float(np.sqrt(np.mean((regression.left_out - losses) ** 2)))
    return {"rows": len(losses), "rank_correlation": correlation, "error": error}


def _warnings(fit: Mapping[str, float], domains: int) -> list[str]:
    warnings = []
    if not fit["rank_correlation"] >= TRUSTED_CORRELATION:
        warnings.append(
            f"left-out rows are ranked with a correlation of only {fit['rank_correlation']:.2f}: measure more mixtures"
        )
    if fit["rows"] < 2 * domains:
        warnings.append(f"{fit['rows']:.0f} rows for {domains} domains are few: the effects are uncertain")
    return warnings
