"""The peers, used as their users would: natural distributions, default settings, one suggestion at a time."""

from __future__ import annotations

import json
import math
import os
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from optimizers.problem import CompletedTrial, Config, History, PastJob, Problem
from optimizers.registry import optimizer
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Parameter
from search_spaces.space import Space

if TYPE_CHECKING:
    from optuna.trial import Trial

OPTUNA = ("optuna-gp", "optuna-tpe", "optuna-nsga2")
PEERS = (*OPTUNA, "ax")
PEER_PYTHON = Path(__file__).resolve().parents[2] / ".venv-peers" / "bin" / "python"
"""Made by `make bench-search`: Ax pins libraries that need not agree with ours."""


class Player(Protocol):
    """Who searches."""

    def ask(self) -> Config:
        """The next configuration."""
        ...

    def tell(self, config: Config, metrics: Mapping[str, float]) -> None:
        """What it came to; a metric that is no number tells that the trial failed."""
        ...


class Ours:
    """An optimizer of ours: history in, one configuration out. `past` is what alike problems have shown before."""

    def __init__(self, name: str, problem: Problem, seed: int, past: tuple[PastJob, ...] = ()) -> None:
        self._optimizer, self._problem, self._seed = optimizer(name, seed=seed), problem, seed
        self._done: list[CompletedTrial] = []
        self._past = past

    def remember(self, trials: Sequence[tuple[Config, Mapping[str, float]]]) -> None:
        """Take `trials` as measured."""
        for config, metrics in trials:
            self.tell(config, metrics)

    def ask(self) -> Config:
        """The next configuration."""
        rng = np.random.default_rng([self._seed, len(self._done)])
        return self._optimizer.propose(self._problem, History(tuple(self._done), past=self._past), 1, rng).configs[0]

    def tell(self, config: Config, metrics: Mapping[str, float]) -> None:
        """What it came to."""
        self._done.append(CompletedTrial(str(len(self._done)), config, metrics))


class OptunaPeer:
    """A sampler of Optuna."""

    def __init__(self, name: str, problem: Problem, seed: int) -> None:
        import optuna

        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
            "optuna-gp": lambda: optuna.samplers.GPSampler(seed=seed),
            "optuna-tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
            "optuna-nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
        }
        self._problem = problem
        self._study = optuna.create_study(
            directions=[objective.direction for objective in problem.objectives], sampler=samplers[name]()
        )
        self._trial: Trial | None = None
        self._failed = optuna.trial.TrialState.FAIL

    def remember(self, trials: Sequence[tuple[Config, Mapping[str, float]]]) -> None:
        """Take `trials` as measured, without asking for them."""
        for config, metrics in trials:
            positions = {name: _position(self._problem.space.by_name[name], value) for name, value in config.items()}
            self._study.enqueue_trial(positions)
            asked = self.ask()
            assert asked == config
            self.tell(config, metrics)

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
        values = [metrics[objective.metric] for objective in self._problem.objectives]
        if all(map(math.isfinite, values)):
            self._study.tell(self._trial, values)
        else:
            self._study.tell(self._trial, state=self._failed)


class AxPeer:
    """Ax's default strategy, in a process of its own environment; one process serves all searches of this one."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem, self._process = problem, _ax_process()
        objectives = {objective.metric: objective.direction for objective in problem.objectives}
        self._send({"start": {"parameters": _ax_parameters(problem.space), "objectives": objectives, "seed": seed}})

    def ask(self) -> Config:
        """The next configuration: what Ax suggests for inactive parameters is dropped."""
        found, space = self._send({"ask": True}), self._problem.space
        config: dict[str, Any] = {}
        for name in space.order:
            if space.is_active(name, config):
                parameter = space.by_name[name]
                config[name] = _value(parameter, found[name]) if name in found else parameter.default
        return space.arrange(config)

    def tell(self, config: Config, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        """What it came to."""
        told = {objective.metric: metrics[objective.metric] for objective in self._problem.objectives}
        self._send({"tell": told} if all(map(math.isfinite, told.values())) else {"failed": True})

    def _send(self, message: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"Ax's process ended with status {self._process.wait()}; its messages are above")
        return json.loads(line)


@cache
def _ax_process() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(PEER_PYTHON), str(Path(__file__).with_name("ax_peer.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )


def competitor(name: str, problem: Problem, seed: int, past: tuple[PastJob, ...] = ()) -> Player:
    """A peer or an optimizer of ours, by name."""
    return AxPeer(problem, seed) if name == "ax" else in_this_process(name, problem, seed, past)


def in_this_process(name: str, problem: Problem, seed: int, past: tuple[PastJob, ...] = ()) -> OptunaPeer | Ours:
    """A competitor that can be given a history."""
    return OptunaPeer(name, problem, seed) if name in OPTUNA else Ours(name, problem, seed, past)


def _suggest(trial: Trial, parameter: Parameter) -> Any:
    if isinstance(parameter, Float):
        return trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.scale == "log")
    if isinstance(parameter, Int):
        log = parameter.scale == "log"
        return trial.suggest_int(parameter.name, parameter.low, parameter.high, log=log)
    if isinstance(parameter, Ordinal):
        return parameter.values[trial.suggest_int(parameter.name, 0, parameter.size - 1)]
    if isinstance(parameter, Categorical):
        return parameter.choices[trial.suggest_categorical(parameter.name, list(range(parameter.size)))]
    raise TypeError(f"no distribution for {type(parameter).__name__}")


def _position(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Ordinal):
        return parameter.values.index(value)
    return parameter.choices.index(value) if isinstance(parameter, Categorical) else value


def _ax_parameters(space: Space) -> list[dict[str, Any]]:
    """Parameters as `ax_peer` reads them: ordinals are integers, choices text, both positions."""
    return [_ax_parameter(space, parameter) for parameter in space.parameters if parameter.size != 1]


def _ax_parameter(space: Space, parameter: Parameter) -> dict[str, Any]:
    name = parameter.name
    if isinstance(parameter, Categorical):
        opens: dict[str, list[str]] = {}
        for condition in space.conditions:
            if condition.parent == name:
                for value in condition.values:
                    opens.setdefault(str(parameter.choices.index(value)), []).append(condition.child)
        choices = [str(index) for index in range(parameter.size)]
        return {"name": name, "kind": "choice", "choices": choices} | ({"opens": opens} if opens else {})
    if isinstance(parameter, Ordinal):
        return {"name": name, "kind": "int", "bounds": [0, parameter.size - 1]}
    if isinstance(parameter, Float | Int):
        kind = "int" if isinstance(parameter, Int) else "float"
        return {
            "name": name,
            "kind": kind,
            "bounds": [parameter.low, parameter.high],
            "log": parameter.scale == "log",
        }
    raise TypeError(f"no Ax parameter for {type(parameter).__name__}")


def _value(parameter: Parameter, found: Any) -> Any:
    if isinstance(parameter, Categorical):
        return parameter.choices[int(found)]
    return parameter.values[int(found)] if isinstance(parameter, Ordinal) else found
