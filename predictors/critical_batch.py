"""Loss, steps and batch size of language-model training (Kaplan et al. 2020, arXiv:2001.08361; METHODS.md row 80).

    L(N, S)   = (N_c / N)^α_N + (S_c / S_min)^α_S            loss, nats a token
    B_crit(L) = B_* / L^(1 / α_B)                            tokens
    S_min     = S / (1 + B_crit / B)                         steps at an unlimited batch
    E_min     = E / (1 + B / B_crit)                         tokens at a tiny batch

At B = B_crit a run takes twice the least steps and twice the least tokens. The forms hold across set-ups, the constants
do not ("Unraveling Scaling Laws", 2024): fit your own with `fit_loss_surface`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.answer import Answer, OutOfDomain, Quantity, Standing, positive

SOURCE = "Kaplan et al. 2020, arXiv:2001.08361; Unraveling Scaling Laws, 2024"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LossSurface:
    """Constants of the laws above; defaults are Kaplan's (only α_N was checked against the paper)."""

    n_critical: float = 8.8e13
    alpha_n: float = 0.076
    s_critical: float = 2.1e3
    alpha_s: float = 0.76
    batch_star: float = 2.1e8
    alpha_b: float = 0.21
    standing: Standing = "unverified"

    def floor(self, parameters: float | Floats) -> float | Floats:
        """Loss after endless training: (N_c / N)^α_N."""
        return (self.n_critical / parameters) ** self.alpha_n

    def critical_batch(self, loss: float | Floats) -> float | Floats:
        """Critical batch size in tokens at `loss`."""
        return self.batch_star / loss ** (1 / self.alpha_b)

    def loss(self, parameters: Floats, steps: Floats, batch: Floats) -> Floats:
        """Loss after `steps` steps of `batch` tokens. S_min depends on B_crit and so on the loss itself: a fixed point,
        found by iterating from the floor (a contraction, since a higher loss only shrinks B_crit)."""
        value = np.asarray(self.floor(parameters), dtype=np.float64) + 1.0
        for _ in range(30):
            least_steps = steps / (1 + self.critical_batch(value) / batch)
            value = self.floor(parameters) + (self.s_critical / least_steps) ** self.alpha_s
        return value


def critical_batch(
    loss: float, steps: float | None = None, batch_tokens: float | None = None, law: LossSurface | None = None
) -> Answer:
    """Critical batch size at a target `loss` (nats a token), and for a run of `steps` × `batch_tokens` the least steps
    and least tokens that reach the same loss.

    Raises:
        OutOfDomain: an argument is not a positive number, or only one of `steps` and `batch_tokens` is given.
    """
    law = law or LossSurface()
    positive(loss=loss)
    critical = float(law.critical_batch(loss))
    quantities = {"critical_batch_tokens": Quantity(critical, "tokens")}
    if (steps is None) != (batch_tokens is None):
        raise OutOfDomain("steps, batch_tokens", (steps, batch_tokens), "both or neither")
    if steps is not None and batch_tokens is not None:
        positive(steps=steps, batch_tokens=batch_tokens)
        quantities["least_steps"] = Quantity(steps / (1 + critical / batch_tokens), "steps")
        quantities["least_tokens"] = Quantity(steps * batch_tokens / (1 + batch_tokens / critical), "tokens")
    return Answer(quantities, SOURCE, law.standing, "pretraining language models from scratch", _warnings(law))


def loss_trajectory(parameters: float, steps: float, batch_tokens: float, law: LossSurface | None = None) -> Answer:
    """Expected loss (nats a token) of a model of `parameters` after `steps` steps of `batch_tokens`.

    Raises:
        OutOfDomain: an argument is not a positive number.
    """
    positive(parameters=parameters, steps=steps, batch_tokens=batch_tokens)
    law = law or LossSurface()
    loss = float(law.loss(np.array([parameters]), np.array([steps]), np.array([batch_tokens]))[0])
    quantities = {"loss": Quantity(loss, "nats/token"), "floor": Quantity(float(law.floor(parameters)), "nats/token")}
    return Answer(quantities, SOURCE, law.standing, "pretraining language models from scratch", _warnings(law))


def _warnings(law: LossSurface) -> tuple[str, ...]:
    if law.standing != "unverified":
        return ()
    return ("Kaplan's constants belong to their tokenizer and data and most are unverified here: fit your own runs",)


def fit_loss_surface(parameters: Floats, steps: Floats, batch: Floats, loss: Floats) -> LossSurface:
    """Fit all six constants to measured runs; robust least squares (soft L1) on the logarithm of the loss.

    Args:
        parameters, steps, batch, loss: `[n]` each; n ≥ 8 with several sizes, steps and batches.

    Raises:
        OutOfDomain: too few runs, numbers that are not positive, or losses that are all equal.
    """
    from scipy.optimize import least_squares

    columns = [np.asarray(column, dtype=np.float64) for column in (parameters, steps, batch, loss)]
    if len({column.shape for column in columns}) != 1 or columns[0].size < 8:
        raise OutOfDomain("runs", [column.shape for column in columns], "four columns of equal length, at least 8 rows")
    if not all(np.all(np.isfinite(column) & (column > 0)) for column in columns):
        raise OutOfDomain("runs", "a value that is not positive and finite", "positive, finite numbers")
    if np.ptp(columns[3]) == 0:
        raise OutOfDomain("loss", "all equal", "losses that differ: equal losses determine no law")
    n, s, b, target = columns

    def residuals(theta: Floats) -> Floats:
        return np.log(_surface(theta).loss(n, s, b)) - np.log(target)

    start = np.array([np.log(8.8e13), np.log(0.076), np.log(2.1e3), np.log(0.76), np.log(2.1e8), np.log(0.21)])
    bounds = (start - np.array([15, 2, 6, 1.5, 8, 1.5]), start + np.array([15, 2, 6, 1.5, 8, 1.5]))
    fit = least_squares(residuals, start, bounds=bounds, loss="soft_l1", f_scale=0.01, max_nfev=2000)
    return _surface(fit.x)


def _surface(theta: Floats) -> LossSurface:
    n_critical, alpha_n, s_critical, alpha_s, batch_star, alpha_b = (float(value) for value in np.exp(theta))
    return LossSurface(n_critical, alpha_n, s_critical, alpha_s, batch_star, alpha_b, standing="fitted")
