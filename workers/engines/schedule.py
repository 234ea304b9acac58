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
    above 0. `power` counts tokens instead, see `_power`.
    """
    if chosen.schedule == "power":
        return _power(step * tokens_per_step, steps * tokens_per_step, chosen)
    done, warmup = step - 1, math.ceil(chosen.warmup_ratio * steps)
    if done < warmup:
        return chosen.learning_rate * done / warmup
    match chosen.schedule:
        case "constant":
            return chosen.learning_rate
        case "cosine":
            return chosen.learning_rate * 0.5 * (1.0 + math.cos(math.pi * _progress(done, warmup, steps)))
        case "linear":
            return chosen.learning_rate * (1.0 - _progress(done, warmup, steps))


def _power(tokens: float, total: float, chosen: Hyperparameters) -> float:
    """min(learning_rate, β·a·n^b) after n tokens with batches of β rows, whatever the length of the training.

    Over the first `power_warmup` tokens it rises in proportion to n; over the last tenth of the `total` it falls
    exponentially to a hundredth. A test holds it equal to `predictors.power`, which this package does not know.
    """
    decay = _FINAL_SHARE * total
    rows = chosen.batch_size * chosen.gradient_accumulation
    reached, warmup = min(tokens, total - decay), chosen.power_warmup
    law = min(chosen.learning_rate, rows * chosen.power_amplitude * math.pow(max(reached, warmup), POWER_EXPONENT))
    rising = reached / warmup if reached < warmup else 1.0
    return law * rising * math.pow(_FINAL_FACTOR, (tokens - reached) / decay)


def _progress(done: int, warmup: int, steps: int) -> float:
    return (done - warmup) / max(1, steps - warmup)
