"""How much of what a search promised is true: repeated trainings on unseen rows beside what was measured before.

The best of many noisy measurements is partly lucky, so the winner's own measurement is no fair promise: it won because
it was good. The promise trusts it half and all other trials half, with the interval in which a mean over fresh seeds on
other rows should lie. `make bench-answers` holds it against fresh repetitions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from scipy.stats import t as student

from predictors.insights import Config, Estimate, MetricModel


def mean_interval(values: Sequence[float], level: float) -> Estimate:
    """Mean of at least two repeated measurements and its interval by Student's t: the spread of seeds on given rows."""
    mean = float(np.mean(values))
    half = float(student.ppf(0.5 + level / 2, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half, level)


def gain_interval(values: Mapping[int, float], reference: Mapping[int, float], sign: float, level: float) -> Estimate:
    """By how much a configuration is better than the reference, from measurements by seed; `sign` is -1 to minimise.

    Seeds are shared, so differences are taken in pairs. Needs two seeds that both have.
    """
    shared = sorted(values.keys() & reference.keys())
    return mean_interval([sign * (values[seed] - reference[seed]) for seed in shared], level)


def promise(model: MetricModel, config: Config, share: bool, rows: tuple[int, int] | None) -> Estimate:
    """Where the mean of fresh trainings should lie: what the model expects of measuring again, on other rows.

    `share`: the metric is a share of rows, whose sampling error on `rows` (searched, confirmed) is added: a set of n
    rows shifts every measurement on it alike, by about sqrt(p (1 - p) / n), which no comparison of trials can show.
    """
    expected = model.expect_again(config)
    if not share or rows is None:
        return expected
    p = min(max(expected.value, 0.0), 1.0)
    sampling = NormalDist().inv_cdf(0.5 + model.level / 2) * math.sqrt(p * (1 - p) * (1 / rows[0] + 1 / rows[1]))
    low = expected.value - math.hypot(expected.value - expected.low, sampling)
    high = expected.value + math.hypot(expected.high - expected.value, sampling)
    return Estimate(expected.value, low, high, model.level)


def survived(searched_gain: float, confirmed_gain: float) -> float | None:
    """Share of the searched gain that is left; None when the search showed none."""
    return confirmed_gain / searched_gain if searched_gain > 0 else None
