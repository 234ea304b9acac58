"""Step Law (Li et al. 2025, arXiv:2503.04715; METHODS.md row 41): learning rate and batch size for pretraining.

    learning rate = 1.79 · N^-0.713 · D^0.307          batch = 0.58 · D^0.571 tokens

N counts non-embedding parameters, D training tokens; the final learning rate is fixed at 1e-5. The intervals come from
the authors' 1,000 bootstrap fits: their mean and covariance in (log coefficient, exponents) are the constants below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from predictors.answer import Answer, Interval, Quantity, Range, outside, positive

SOURCE = "Step Law, arXiv:2503.04715"
# The public grid of dense runs.
PARAMETERS = Range(2.1e8, 1.1e9, "parameters")
TOKENS = Range(4e9, 1e11, "tokens")


@dataclass(frozen=True)
class PowerFit:
    """`log y = coefficients · (1, log x1, …)` and the covariance of the coefficients over bootstrap fits."""

    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]

    def interval(self, *inputs: float, level: float) -> Interval:
        """Interval of y around the bootstrap mean at `inputs` (positive numbers)."""
        row = (1.0, *(math.log(value) for value in inputs))
        centre = sum(c * x for c, x in zip(self.coefficients, row, strict=True))
        spread = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(_quadratic(self.covariance, row))
        return Interval(math.exp(centre - spread), math.exp(centre + spread), level)


def _quadratic(matrix: Sequence[Sequence[float]], row: Sequence[float]) -> float:
    return sum(row[i] * row[j] * matrix[i][j] for i in range(len(row)) for j in range(len(row)))


LEARNING_RATE_BOOTSTRAP = PowerFit(
    coefficients=(0.586308, -0.712922, 0.307491),
    covariance=(
        (0.389062111, -0.013558939, -0.00513249353),
        (-0.013558939, 0.000891485737, -0.000174331789),
        (-0.00513249353, -0.000174331789, 0.000366311843),
    ),
)
BATCH_BOOTSTRAP = PowerFit(
    coefficients=(-0.543542, 0.570944),
    covariance=((0.191179636, -0.00815157225), (-0.00815157225, 0.000348517939)),
)


def learning_rate(parameters: float, tokens: float) -> float:
    """Peak learning rate for `parameters` (non-embedding) trained on `tokens`."""
    return float(1.79 * parameters**-0.713 * tokens**0.307)


def batch_tokens(tokens: float) -> float:
    """Batch size in tokens for a run of `tokens`."""
    return float(0.58 * tokens**0.571)


def step_law(parameters: float, tokens: float, sequence_length: int = 2048, level: float = 0.9) -> Answer:
    """Peak learning rate and batch size for pretraining a dense language model.

    Args:
        parameters: non-embedding parameters.
        tokens: training tokens.
        sequence_length: tokens a sequence, to express the batch in sequences.
        level: probability that the intervals cover, over the authors' bootstrap fits.

    Raises:
        OutOfDomain: an argument is not a positive number.
    """
    positive(parameters=parameters, tokens=tokens, sequence_length=sequence_length)
    batch = batch_tokens(tokens)
    return Answer(
        quantities={
            "learning_rate": Quantity(
                learning_rate(parameters, tokens),
                "1",
                LEARNING_RATE_BOOTSTRAP.interval(parameters, tokens, level=level),
            ),
            "batch_tokens": Quantity(batch, "tokens", BATCH_BOOTSTRAP.interval(tokens, level=level)),
            "batch_sequences": Quantity(batch / sequence_length, "sequences"),
        },
        source=SOURCE,
        standing="published",
        valid_for="pretraining dense language models, final learning rate 1e-5; for fine-tuning only a prior",
        warnings=outside(parameters=(PARAMETERS, parameters), tokens=(TOKENS, tokens)),
    )
