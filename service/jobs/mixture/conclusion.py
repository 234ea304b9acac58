"""What proxies tell about a mixture: the regression's recommendation, how it ranks held-out mixtures, and the check."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predictors.mixture_answer import answer, table
from predictors.mixture_regression import fit_mixture_regression
from service.jobs.plan import Measured

LEVEL = 0.9
LEAST_HELD_OUT = 3  # below it a rank correlation says nothing


def recommendation(
    domains: Sequence[str], target: Sequence[str], learnt: Sequence[Measured], held: Sequence[Measured],
    prior: Mapping[str, float], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """The recommended mixture from all measured ones, and how well those learnt from predict those held out.

    Raises:
        OutOfDomain: the losses determine no regression.
    """
    found = answer([measured_row(one, domains, target) for one in (*learnt, *held)], None, dict(prior), LEVEL, seed)
    if len(held) >= LEAST_HELD_OUT:
        found["held_out"] = _held_out(domains, target, learnt, held)
    return found | {"target": list(target)}


def measured_row(
    one: Measured, domains: Sequence[str], target: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Weights and losses as the regression takes them, each loss of the target's by itself."""
    weights = {domain: float(one.config.get(domain, 0.0)) for domain in domains}
    return weights, {domain: one.metrics[f"loss.{domain}"] for domain in target}


def _held_out(
    domains: Sequence[str], target: Sequence[str], learnt: Sequence[Measured], held: Sequence[Measured]
) -> dict[str, Any]:
    from scipy.stats import spearmanr

    _, weights, losses = table([measured_row(one, domains, target) for one in learnt], None)
    regression = fit_mixture_regression(weights, losses, domains, LEVEL)
    mixtures = np.array([list(measured_row(one, domains, target)[0].values()) for one in held])
    measured = np.array([one.metrics["loss"] for one in held])
    predicted, half = regression.predict(mixtures)
    return {
        "mixtures": len(held),
        "rank_correlation": float(spearmanr(predicted, measured).statistic),
        "error": float(np.sqrt(np.mean((predicted - measured) ** 2))),
        "covered": float(np.mean(np.abs(predicted - measured) <= half)),
    }


def faithfulness(averages: Sequence[Measured], trained: Sequence[Measured]) -> dict[str, Any]:
    """How averages of the domains' proxies rank mixtures that were really trained, by the target's loss (row 52).

    `rank_correlation` is Spearman's over the mixtures that have both; None where fewer than three have, or where all
    averages, or all trainings, are equal.
    """
    from scipy.stats import spearmanr

    real = {tuple(sorted(one.config.items())): one.metrics["loss"] for one in trained}
    pairs = [(one.metrics["loss"], real[key]) for one in averages if (key := tuple(sorted(one.config.items()))) in real]
    merged, losses = zip(*pairs, strict=True) if pairs else ((), ())
    told = len(pairs) >= LEAST_HELD_OUT and len(set(merged)) > 1 and len(set(losses)) > 1
    return {
        "averages": {
            "mixtures": len(pairs),
            "rank_correlation": float(spearmanr(merged, losses).statistic) if told else None,
        }
    }


def comparison(checked: Sequence[Measured]) -> dict[str, Any]:
    """The recommended mixture against each other one, by losses on text that neither training nor search has seen.

    Differences are taken between runs of the same seed; the interval is Student's over the seeds.
    """
    losses: dict[str, dict[int, float]] = defaultdict(dict)
    for one in checked:
        losses[str(one.label)][one.seed] = one.metrics["test_loss"]
    if not losses.get("recommended"):
        return {}
    ours = losses["recommended"]
    return {
        "check": {
            "seeds": len(ours),
            "loss": {label: float(np.mean(list(by_seed.values()))) for label, by_seed in losses.items()},
            "gain": {label: _paired(ours, by_seed) for label, by_seed in losses.items() if label != "recommended"},
        }
    }


def _paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[str, float | None]:
    """How much lower our loss is than theirs: mean and, from two pairs on, interval. Positive is better."""
    from scipy.stats import t

    gains = np.array([theirs[seed] - loss for seed, loss in ours.items() if seed in theirs])
    mean = float(gains.mean())
    if len(gains) < 2:
        return {"value": mean, "low": None, "high": None, "level": LEVEL}
    half = float(t.ppf(0.5 + LEVEL / 2, len(gains) - 1) * gains.std(ddof=1) / math.sqrt(len(gains)))
    return {"value": mean, "low": mean - half, "high": mean + half, "level": LEVEL}


def soup_summary(soups: Sequence[Measured]) -> dict[str, Any]:
    """The soup beside its best member, on validation text (which chose the members) and on test text."""
    if not soups:
        return {}
    names = ("loss", "best_member_loss", "test_loss", "best_member_test_loss", "members")
    return {"soup": {name: soups[0].metrics[name] for name in names} | {"trial": soups[0].number}}
