"""Problems recorded by ourselves: real LoRA trainings, replayed from `benchmarks/tables/peft_trials.parquet`.

A table of two hundred configurations cannot be asked about any other one, so a Gaussian process through the logits of
its accuracies answers, with the noise that second seeds showed. Trainable parameters follow from the configuration and
are exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import expit, logit

from benchmarks.search.problems import SearchProblem, maximize, minimize, noisy
from benchmarks.trials.plan import MODEL
from benchmarks.trials.table import RecordedTrial, trials
from optimizers.problem import Config, Problem
from predictors.gaussian_process import GaussianProcess, fit_gaussian_process
from search_spaces.presets import preset
from search_spaces.space import Space, config_hash
from service.jobs.search.problem import trainable_params
from workers.models.description import describe


def peft_lora(data_set: str) -> SearchProblem:
    """Accuracy and trainable parameters over the `lora` preset, with its priors, on one data set of the table."""
    model = describe(MODEL)
    space, count = preset("lora", model.shape), trainable_params(model)
    recorded = trials(part="lora", data_set=data_set)
    fitted = accuracy_process(space, recorded)

    def truth(config: Config) -> Mapping[str, float]:
        accuracy = float(expit(fitted.mean(space.encode([config]).values)[0]))
        return {"accuracy": accuracy, "trainable_params": count(config)}

    return SearchProblem(
        f"peft_lora/{data_set}",
        Problem(space, (maximize("accuracy"), minimize("trainable_params")), known={"trainable_params": count}),
        truth,
        noisy(truth, {"accuracy": seed_noise(recorded)}),
        ("trainable_params",),
    )


def accuracy_process(space: Space, recorded: Sequence[RecordedTrial]) -> GaussianProcess:
    """A process through the logits of the accuracies, over the encoding of `space`."""
    accuracies = np.array([trial.metrics["accuracy"] for trial in recorded])
    return fit_gaussian_process(space.encode([trial.config for trial in recorded]).values, logit(accuracies))


def seed_noise(recorded: Sequence[RecordedTrial]) -> float:
    """Standard deviation of the accuracy of one configuration over seeds, from those that have several."""
    by_config: dict[str, list[float]] = defaultdict(list)
    for trial in recorded:
        by_config[config_hash(trial.config)].append(trial.metrics["accuracy"])
    repeated = [values for values in by_config.values() if len(values) > 1]
    return float(np.sqrt(np.mean([np.var(values, ddof=1) for values in repeated])))
