"""The learning rate at a step: linear warm-up, then linear, cosine, power-law or no decay."""

from __future__ import annotations

import math

from workers.hyperparameters import Hyperparameters

POWER_EXPONENT = -0.51
"""Power Scheduler (Shen et al. 2024, arXiv 2408.13359): fitted there, and not to be refitted from a few trials."""
_FINAL_SHARE, _FINAL_FACTOR = 0.1, 0.01  # choices: the paper's last phase decays exponentially; how far is open


def learning_rate_at(step: int, steps: int, chosen: Hyperparameters, tokens_per_step: float) -> float:
    """The learning rate of optimizer step `step` (from 1) of `steps`, each of which sees `tokens_per_step` tokens.

    As in Hugging Face's schedules, the k-th step uses the factor of k - 1: warm-up begins at 0 and decay ends one step
    above 0. With `power` the rate is min(peak, β·a·n^b) for n tokens seen and batches of β rows, whatever the length of
    the training; the last tenth of the steps decays exponentially to a hundredth.
    """
    done, warmup = step - 1, math.ceil(chosen.warmup_ratio * steps)
    peak = chosen.learning_rate if chosen.schedule != "power" else _power(step * tokens_per_step, chosen)
    if done < warmup:
        return peak * done / warmup
    match chosen.schedule:
        case "constant":
            return peak
        case "power":
            final = math.ceil(_FINAL_SHARE * steps)
            return peak * math.pow(_FINAL_FACTOR, max(0, done - (steps - final)) / final)
        case "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * _progress(done, warmup, steps)))
        case "linear":
            return peak * (1.0 - _progress(done, warmup, steps))


def _power(tokens: float, chosen: Hyperparameters) -> float:
    rows = chosen.batch_size * chosen.gradient_accumulation
    return min(chosen.learning_rate, rows * chosen.power_amplitude * math.pow(tokens, POWER_EXPONENT))


def _progress(done: int, warmup: int, steps: int) -> float:
    return (done - warmup) / max(1, steps - warmup)
