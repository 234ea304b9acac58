"""The peers, used as their users would: Optuna's samplers on natural distributions, one suggestion at a time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizers.problem import CompletedTrial, Config, History, Problem
from optimizers.registry import optimizer
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter

if TYPE_CHECKING:
    from optuna.trial import Trial

PEERS = ("optuna-gp", "optuna-tpe", "optuna-nsga2")


class Ours:
    """An optimizer of ours: history in, one configuration out."""

    def __init__(self, name: str, problem: Problem, seed: int) -> None:
        self._optimizer, self._problem, self._seed = optimizer(name, seed=seed), problem, seed
        self._done: list[CompletedTrial] = []

    def remember(self, trials: Sequence[tuple[Config, Mapping[str, float]]]) -> None:
        """Take `trials` as measured."""
        for config, metrics in trials:
            self.tell(config, metrics)

    def ask(self) -> Config:
        """The next configuration."""
        rng = np.random.default_rng([self._seed, len(self._done)])
        return self._optimizer.propose(self._problem, History(tuple(self._done)), 1, rng).configs[0]

    def tell(self, config: Config, metrics: Mapping[str, float]) -> None:
        """What it came to."""
        self._done.append(CompletedTrial(str(len(self._done)), config, metrics))


class Peer:
    """A sampler of Optuna."""

    def __init__(self, name: str, problem: Problem, seed: int) -> None:
        import optuna

        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = {
            "optuna-gp": lambda: optuna.samplers.GPSampler(seed=seed),
            "optuna-tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
            "optuna-nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
        }[name]()
        self._problem = problem
        self._study = optuna.create_study(
            directions=[objective.direction for objective in problem.objectives], sampler=sampler
        )
        self._trial: Trial | None = None

    def remember(self, trials: Sequence[tuple[Config, Mapping[str, float]]]) -> None:
        """Take `trials` as measured, without asking for them."""
        for config, metrics in trials:
            self._study.enqueue_trial({name: self._position(name, value) for name, value in config.items()})
            asked = self.ask()
            assert asked == config
            self.tell(config, metrics)

    def _position(self, name: str, value: Any) -> Any:
        parameter = self._problem.space.by_name[name]
        if isinstance(parameter, Ordinal):
            return parameter.values.index(value)
        return parameter.choices.index(value) if isinstance(parameter, Categorical) else value

    def ask(self) -> Config:
        """The next configuration."""
        trial, space = self._study.ask(), self._problem.space
        config: dict[str, Any] = {}
        for name in space.order:
            if space.is_active(name, config):
                config[name] = _suggest(trial, space.by_name[name])
        self._trial = trial
        return space.arrange(config)

    def tell(self, config: Config, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        """What it came to."""
        assert self._trial is not None
        self._study.tell(self._trial, [metrics[objective.metric] for objective in self._problem.objectives])


def competitor(name: str, problem: Problem, seed: int) -> Ours | Peer:
    """A peer or an optimizer of ours, by name."""
    return Peer(name, problem, seed) if name in PEERS else Ours(name, problem, seed)


def _suggest(trial: Trial, parameter: Parameter) -> Any:
    if isinstance(parameter, Float):
        return trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.scale == "log")
    if isinstance(parameter, Int):
        log = parameter.scale == "log"
        return trial.suggest_int(parameter.name, parameter.low, parameter.high, log=log)
    if isinstance(parameter, Ordinal):
        return parameter.values[trial.suggest_int(parameter.name, 0, parameter.size - 1)]
    if isinstance(parameter, Categorical):
        return parameter.choices[trial.suggest_categorical(parameter.name, _positions(parameter.choices))]
    raise TypeError(f"no distribution for {type(parameter).__name__}")


def _positions(choices: Sequence[Any]) -> list[int]:
    return list(range(len(choices)))
