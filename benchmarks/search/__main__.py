"""Run optimizers and peers on all problems; one JSON line per problem and optimizer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.peers import PEERS
from benchmarks.search.races import COMPUTED, QUICK, RECORDED, search, summary
from benchmarks.search.tables import DATA


def results(
    names: list[str], optimizers: list[str], seeds: int, trials: int, processes: int
) -> Iterator[dict[str, Any]]:
    """Run everything, problem by problem."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for name in names:
            jobs = {
                optimizer: [pool.submit(search, name, optimizer, seed, trials) for seed in range(seeds)]
                for optimizer in optimizers
            }
            for optimizer, runs in jobs.items():
                yield summary(name, optimizer, [run.result() for run in runs])


def main() -> None:
    """Read the command line, run, print one JSON line each and a table at the end."""
    available = [*COMPUTED, *(RECORDED if DATA.is_dir() else ())]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few problems, seeds and trials: at most five minutes")
    parser.add_argument("--problems", nargs="+", choices=available, metavar="NAME")
    parser.add_argument("--optimizers", nargs="+", default=["auto", "gp", "tpe", "random", *PEERS], metavar="NAME")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the lines into this file")
    given = parser.parse_args()
    names = given.problems or ([name for name in QUICK if name in available] if given.quick else available)
    seeds, trials = given.seeds or (3 if given.quick else 20), given.trials or (25 if given.quick else 40)
    lines = []
    for line in results(names, given.optimizers, seeds, trials, given.processes):
        lines.append(line)
        print(json.dumps({key: value for key, value in line.items() if key != "regret_by_trial"}), flush=True)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _print_table(lines)


def _print_table(lines: list[dict[str, Any]]) -> None:
    """Mean over problems of each optimizer's median regret, and of its time."""
    print(f"\n{'optimizer':16s} {'mean regret':>12s} {'seconds':>9s}", file=sys.stderr)
    by_optimizer: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_optimizer.setdefault(line["optimizer"], []).append(line)
    for name, own in sorted(
        by_optimizer.items(), key=lambda item: np.mean([line["regret_median"] for line in item[1]])
    ):
        regret = np.mean([line["regret_median"] for line in own])
        seconds = np.mean([line["seconds_per_suggestion"] for line in own])
        print(f"{name:16s} {regret:12.4f} {seconds:9.4f}", file=sys.stderr)


if __name__ == "__main__":
    main()
