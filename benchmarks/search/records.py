"""Runs as they are kept while the benchmark goes on, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.peers import PEERS
from benchmarks.search.races import DEVELOPMENT, Run

FloatArray = NDArray[np.float64]
_RESAMPLED = 1000


def read(path: Path) -> list[Run]:
    """The runs kept in a file, none when there is no such file. A line cut short by a crash is left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(Run(**json.loads(line)))
        except json.JSONDecodeError:
            continue
    return found


def keep(path: Path, run: Run) -> None:
    """Add a run to the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(run)) + "\n")


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """One line of the results: all runs of one optimizer on one problem."""
    regrets, seconds = np.array([run.regrets for run in runs]), np.array([run.seconds for run in runs])
    final = regrets[:, -1]
    low, high = interval(regrets)
    return {
        "problem": runs[0].problem,
        "optimizer": runs[0].optimizer,
        "development": runs[0].problem in DEVELOPMENT,
        "trials": regrets.shape[1],
        "seeds": len(runs),
        "regret_median": _short(np.median(final)),
        "regret_mean": _short(final.mean()),
        "regret_error": _short(final.std(ddof=1) / np.sqrt(len(final)) if len(final) > 1 else 0.0),
        "regret_by_trial": [_short(value) for value in regrets.mean(axis=0)],
        "low_by_trial": [_short(value) for value in low],
        "high_by_trial": [_short(value) for value in high],
        "failed_mean": _short(np.mean([run.failed for run in runs])),
        "seconds_per_suggestion": _short(seconds[:, seconds.shape[1] // 2 :].mean()),
    }


def interval(regrets: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bootstrap 90 % interval of the mean over runs, `regrets [n, t]` → `[t]` and `[t]`."""
    rng = np.random.default_rng(0)
    drawn = regrets[rng.integers(0, len(regrets), (_RESAMPLED, len(regrets)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    return low, high


def verdict(lines: Iterable[dict[str, Any]], optimizer: str = "auto") -> dict[str, Any]:
    """`optimizer` beside the best peer: the ratio of their mean regrets over problems that both ran, by part, and the
    problems on which it is worse than the best peer there by more than noise (two standard errors of the difference).
    """
    by_problem: dict[str, dict[str, dict[str, Any]]] = {}
    for line in lines:
        by_problem.setdefault(line["problem"], {})[line["optimizer"]] = line
    mine = {name: own for name, own in by_problem.items() if optimizer in own}
    found: dict[str, Any] = {"optimizer": optimizer, "worse_than_the_best_peer_by_more_than_noise": []}
    for part, wanted in (("all", (True, False)), ("development", (True,)), ("confirmation", (False,))):
        chosen = [own for own in mine.values() if own[optimizer]["development"] in wanted]
        if not chosen:
            continue
        peers = [name for name in (*PEERS, "random") if all(name in own for own in chosen)]
        means = {name: _short(np.mean([own[name]["regret_mean"] for own in chosen])) for name in (optimizer, *peers)}
        best = min(peers, key=lambda name: means[name], default=None)
        ratio = _short(means[optimizer] / means[best]) if best and means[best] > 0 else None
        found[part] = {"problems": len(chosen), "mean_regret": means, "best_peer": best, "ratio": ratio}
    for name, own in mine.items():
        peers = [peer for peer in PEERS if peer in own]
        if peers:
            best = min(peers, key=lambda peer: own[peer]["regret_mean"])
            gap = own[optimizer]["regret_mean"] - own[best]["regret_mean"]
            noise = 2 * float(np.hypot(own[optimizer]["regret_error"], own[best]["regret_error"]))
            if gap > noise:
                losing = {"problem": name, "peer": best, "gap": _short(gap), "noise": _short(noise)}
                found["worse_than_the_best_peer_by_more_than_noise"].append(losing)
    return found


def _short(value: float | np.floating[Any]) -> float:
    return round(float(value), 5)
