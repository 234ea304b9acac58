"""How much of the budget schedulers spend until the front of all trials trained to their end is there.

`python -m benchmarks.search.schedulers` replays recorded learning curves (`benchmarks.search.curves`) with our
schedulers, Optuna's pruners and no scheduler at all: the same trials in the same random order on the same number of
workers. One JSON line for each pool and scheduler.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import optuna

from benchmarks.search.curves import POOLS, Pool
from benchmarks.search.scheduler_records import keep, spending
from optimizers.schedulers.contract import Budget, Curve, PausingScheduler, Point, Standing
from optimizers.schedulers.registry import scheduler

MARKS = (0.95, 0.99)
"""Shares of the whole pool's hypervolume at which the spending is read off; the last counts as having the front."""

WORKERS = 4
OURS = ("none", "median", "asha", "hyperband", "freeze-thaw")
PEERS: dict[str, Callable[[int], optuna.pruners.BasePruner]] = {
    "optuna-median": lambda length: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=length // 4),
    "optuna-halving": lambda length: optuna.pruners.SuccessiveHalvingPruner(max(1, length // 9), 3),
    "optuna-hyperband": lambda length: optuna.pruners.HyperbandPruner(max(1, length // 9), length, 3),
}


@dataclass
class Pass:
    """A pool under way: how many points of its curve each trial has shown, and who is where."""

    pool: Pool
    order: list[int]  # of the trials, by row of the pool
    shown: dict[int, int] = field(default_factory=dict)
    running: list[int] = field(default_factory=list)
    paused: set[int] = field(default_factory=set)
    finished: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Reports of a whole training."""
        return int(self.pool.curves.shape[1])


class Player(Protocol):
    """Decides about a pass."""

    def after_report(self, state: Pass, trial: int) -> str:
        """`continue`, `pause` or `stop`."""
        ...

    def move_on(self, state: Pass) -> None:
        """Resume or end paused trials."""
        ...


class Ours:
    """A scheduler of ours; reports are epochs."""

    def __init__(self, name: str, state: Pass) -> None:
        options = {"interval": float(max(1, state.length // 10))} if name == "freeze-thaw" else {}
        self._scheduler = scheduler(name, **options)

    def after_report(self, state: Pass, trial: int) -> str:
        """See `Player`."""
        return self._scheduler.decide(_id(trial), self._curves(state), state.pool.problem, float(state.length))

    def move_on(self, state: Pass) -> None:
        """See `Player`."""
        if not isinstance(self._scheduler, PausingScheduler) or not state.paused:
            return
        paused = frozenset(map(_id, state.paused))
        standing = Standing(
            curves=self._curves(state),
            paused=paused,
            donors=paused,
            active=frozenset(map(_id, state.running)),
            fresh={_id(trial): state.pool.configs[trial] for trial in state.order},
            to_come=0,
            slots=WORKERS - len(state.running),
            budget=Budget(len(state.pool.configs), float(state.length)),
            seed=0,
        )
        moves = self._scheduler.moves(standing, state.pool.problem)
        state.paused -= {int(trial) for trial in [*moves.resume, *moves.stop]}
        state.running += sorted(int(trial) for trial in moves.resume)

    def _curves(self, state: Pass) -> dict[str, Curve]:
        metric = state.pool.trained.metric
        return {
            _id(trial): Curve(
                tuple(Point(k + 1.0, {metric: float(state.pool.curves[trial, k])}) for k in range(count)),
                state.pool.configs[trial],
            )
            for trial, count in state.shown.items()
        }


class Optuna:
    """A pruner of Optuna's; its trials are told to end in the order in which ours do."""

    def __init__(self, name: str, state: Pass, seed: int) -> None:
        direction = state.pool.trained.direction
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            direction=direction, pruner=PEERS[name](state.length), sampler=optuna.samplers.RandomSampler(seed)
        )
        self._trials: dict[int, optuna.Trial] = {}

    def after_report(self, state: Pass, trial: int) -> str:
        """See `Player`."""
        if trial not in self._trials:
            self._trials[trial] = self._study.ask()
        known = self._trials[trial]
        count = state.shown[trial]
        value = float(state.pool.curves[trial, count - 1])
        known.report(value, count)
        if count == state.length:
            self._study.tell(known, value)
        elif known.should_prune():
            self._study.tell(known, state=optuna.trial.TrialState.PRUNED)
            return "stop"
        return "continue"

    def move_on(self, state: Pass) -> None:
        """Nothing ever pauses."""


@dataclass(frozen=True)
class Result:
    """One pass: shares of the budget until each of `MARKS` was reached (infinite: never) and in all, what was kept."""

    until: tuple[float, ...]
    spent: float
    kept: float
    seconds: float


@cache
def _pool(name: str) -> Pool:
    return POOLS[name]()


def run(name: str, player_name: str, seed: int) -> Result:
    """Replay a pool in random order: in each round every worker's trial shows one more point of its curve."""
    pool = _pool(name)
    state = Pass(pool, np.random.default_rng(seed).permutation(len(pool.configs)).tolist())
    player: Player = Optuna(player_name, state, seed) if player_name in PEERS else Ours(player_name, state)
    spent, whole, seconds = 0, pool.curves.size, 0.0
    until = dict.fromkeys(MARKS, math.inf)
    while True:
        began = time.perf_counter()
        player.move_on(state)
        seconds += time.perf_counter() - began
        while state.order and len(state.running) < WORKERS:
            state.running.append(state.order.pop(0))
        if not state.running:
            return Result(tuple(until.values()), spent / whole, pool.reached(state.finished), seconds)
        for trial in list(state.running):
            state.shown[trial] = state.shown.get(trial, 0) + 1
            spent += 1
            began = time.perf_counter()
            decision = player.after_report(state, trial)
            seconds += time.perf_counter() - began
            if state.shown[trial] == state.length:
                state.finished.append(trial)
            if state.shown[trial] == state.length or decision != "continue":
                state.running.remove(trial)
            if decision == "pause" and state.shown[trial] < state.length:
                state.paused.add(trial)
        reached = pool.reached(state.finished)
        until = {mark: min(at, spent / whole) if reached >= mark else at for mark, at in until.items()}


def summary(name: str, player: str, results: list[Result]) -> dict[str, Any]:
    """One line of the results. `until` are shares of the budget, null where more than half never got there."""
    until = np.array([one.until for one in results])  # [seeds, marks]
    return {
        "problem": name,
        "scheduler": player,
        "trials": len(_pool(name).configs),
        "seeds": len(results),
        "workers": WORKERS,
        "until_median": {str(mark): _share(np.median(until[:, k])) for k, mark in enumerate(MARKS)},
        "until_worst": {str(mark): _share(until[:, k].max()) for k, mark in enumerate(MARKS)},
        "reached": round(float(np.isfinite(until[:, -1]).mean()), 3),
        "spent_median": round(float(np.median([one.spent for one in results])), 4),
        "hypervolume_kept_median": round(float(np.median([one.kept for one in results])), 4),
        "hypervolume_kept_lowest": round(float(min(one.kept for one in results)), 4),
        "seconds": round(float(np.mean([one.seconds for one in results])), 3),
    }


def _share(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def lines(names: list[str], players: list[str], seeds: int, processes: int) -> Iterator[dict[str, Any]]:
    """Run everything; Optuna prunes only with one objective, so its lines are missing where there are two."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for name in names:
            several = len(_pool(name).problem.objectives) > 1
            able = [player for player in players if not (several and player in PEERS)]
            jobs = {player: [pool.submit(run, name, player, seed) for seed in range(seeds)] for player in able}
            for player, runs in jobs.items():
                yield summary(name, player, [one.result() for one in runs])


def _id(trial: int) -> str:
    return str(trial)


def main() -> None:
    """Read the command line, run, print one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", nargs="+", choices=sorted(POOLS), default=sorted(POOLS), metavar="NAME")
    parser.add_argument("--schedulers", nargs="+", default=[*OURS, *PEERS], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keep the lines in this file, as its part `curves`")
    parser.add_argument("--plot", type=Path, help="write the figure into this SVG file")
    given = parser.parse_args()
    written = []
    for line in lines(given.pools, given.schedulers, given.seeds, given.processes):
        print(json.dumps(line), flush=True)
        written.append(line)
    if given.out:
        keep(given.out, "curves", written)
    if given.plot:
        given.plot.write_text(spending(written, str(MARKS[0])))


if __name__ == "__main__":
    main()
