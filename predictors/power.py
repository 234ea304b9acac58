"""Power scheduler (Shen et al. 2024, arXiv:2408.13359; METHODS.md row 48): a learning rate that needs no token budget.

    learning rate(n) = min(cap, β · a · n^b)        n tokens seen, β sequences a batch

`a` and the cap are in units of the maximal update parametrization (µP). The shipped constants were seen in one
third-party implementation only, so answers from them are marked unverified; `fit_amplitude` gives your own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from predictors.answer import Answer, Interval, OutOfDomain, Quantity, Standing, positive

SOURCE = "Power Scheduler, arXiv:2408.13359"


@dataclass(frozen=True)
class PowerLaw:
    """The law's constants and where they come from."""

    amplitude: float = 4.0
    exponent: float = -0.51
    cap: float = 0.02
    standing: Standing = "unverified"

    def learning_rate(self, tokens_seen: float, batch_sequences: float) -> float:
        """Learning rate after `tokens_seen` tokens with batches of `batch_sequences`."""
        return min(self.cap, batch_sequences * self.amplitude * math.pow(tokens_seen, self.exponent))

    def schedule(
        self, tokens_seen: float, total_tokens: float, batch_sequences: float, warmup: float, decay: float
    ) -> float:
        """The whole schedule: linear warm-up over `warmup` tokens, the law, exponential decay to 1 % of what was
        reached over the last `decay` tokens (the decay's form is a choice; the paper only says that there is one)."""
        reached = min(tokens_seen, total_tokens - decay)
        rate = self.learning_rate(max(reached, warmup, 1.0), batch_sequences)
        if reached < warmup:
            rate *= reached / warmup
        return rate * math.pow(0.01, (tokens_seen - reached) / decay) if decay > 0 else rate


def power(tokens: float, batch_sequences: float, law: PowerLaw | None = None) -> Answer:
    """Best learning rate of a run of `tokens` with batches of `batch_sequences` (µP units).

    Raises:
        OutOfDomain: an argument is not a positive number.
    """
    positive(tokens=tokens, batch_sequences=batch_sequences)
    law = law or PowerLaw()
    rate = law.learning_rate(tokens, batch_sequences)
    capped = (f"the law asks for more than its cap of {law.cap:g}",) if rate == law.cap else ()
    unverified = (
        ("constants a = 4, b = -0.51, cap 0.02 are unverified: fit your own",) if law.standing == "unverified" else ()
    )
    return Answer(
        quantities={"learning_rate": Quantity(rate, "1 (µP)")},
        source=SOURCE,
        standing=law.standing,
        valid_for="pretraining under µP; the amplitude depends on model and data",
        warnings=(*capped, *unverified),
    )


def fit_amplitude(
    best: Sequence[tuple[float, float, float]], exponent: float = -0.51, cap: float = 0.02
) -> tuple[PowerLaw, Interval]:
    """Fit `a` to `(tokens, batch sequences, best learning rate)` triples with the exponent kept: the median of
    a = rate · tokens^-b / batch, and the range over the triples.

    Raises:
        OutOfDomain: no triples, or one with a number that is not positive.
    """
    if not best:
        raise OutOfDomain("best", best, "at least one (tokens, batch sequences, best learning rate)")
    for tokens, batch_sequences, rate in best:
        positive(tokens=tokens, batch_sequences=batch_sequences, learning_rate=rate)
    amplitudes = [rate * tokens**-exponent / batch for tokens, batch, rate in best]
    law = PowerLaw(median(amplitudes), exponent, cap, standing="fitted")
    return law, Interval(min(amplitudes), max(amplitudes), level=1.0)
