"""Run optimizers and peers on all problems; one JSON line per problem and optimizer.

Every run is kept as soon as it is done (`--runs`), so a benchmark that was interrupted goes on where it was, and can be
made in parts: `--problems`, `--optimizers` and `--seeds` choose one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # inherited by the processes that search, before they load numpy

from benchmarks.search import plots, records  # noqa: E402
from benchmarks.search.past import has_past  # noqa: E402
from benchmarks.search.peers import PEER_PYTHON, PEERS  # noqa: E402
from benchmarks.search.races import PROBLEMS, QUICK, RECORDED, search  # noqa: E402
from benchmarks.search.tables import DATA  # noqa: E402

# `gp` is what `auto` does without a past; our other forms of the peers' own algorithms are run by name (--optimizers).
OURS = ("auto", "auto+past", "botorch", "mcts", "smbo", "random")
RUNS = Path(__file__).resolve().parents[2] / ".peftsearch" / "bench-search.jsonl"
# By `--quick`. Ax takes about a second of a core for a suggestion: with more seeds it alone would take hours.
TRIALS = {False: 40, True: 25}
SEEDS = {False: 20, True: 3}
SEEDS_OF_AX = {False: 3, True: 1}


def run(
    names: Sequence[str],
    optimizers: Sequence[str],
    seeds: Mapping[str, Sequence[int]],
    trials: int,
    processes: int,
    path: Path,
) -> Iterator[list[dict[str, Any]]]:
    """Run what has not been run yet, problem by problem; yields the lines of each. `seeds` are by optimizer."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for name in names:
            taking_part = [one for one in optimizers if not one.endswith("+past") or has_past(name)]
            done = {(one.optimizer, one.seed) for one in _of(path, name, trials)}
            wanted = [(one, seed) for one in taking_part for seed in seeds[one] if (one, seed) not in done]
            for future in as_completed([pool.submit(search, name, *each, trials) for each in wanted]):
                records.keep(path, future.result())
            yield _lines(path, name, trials)


def _of(path: Path, name: str, trials: int) -> list[Any]:
    return [one for one in records.read(path) if one.problem == name and len(one.regrets) == trials]


def _lines(path: Path, name: str, trials: int) -> list[dict[str, Any]]:
    by_optimizer: dict[str, list[Any]] = {}
    for one in _of(path, name, trials):
        by_optimizer.setdefault(one.optimizer, []).append(one)
    return [records.summary(runs) for runs in by_optimizer.values()]


def main() -> None:
    """Read the command line, run, print one JSON line each, and a table and the verdict at the end."""
    given = _parser().parse_args()
    available = [name for name in PROBLEMS if DATA.is_dir() or name not in RECORDED]
    names = given.problems or [name for name in available if not given.quick or name in QUICK]
    optimizers = given.optimizers or _default_optimizers(given.quick)
    if "ax" in optimizers and not PEER_PYTHON.exists():
        print(f"without Ax: {PEER_PYTHON} is missing (make bench-search installs it)", file=sys.stderr)
        optimizers = [name for name in optimizers if name != "ax"]
    several, of_ax = (list(range(count[given.quick])) for count in (SEEDS, SEEDS_OF_AX))
    seeds = {name: given.seeds or (of_ax if name == "ax" else several) for name in optimizers}
    if given.export:
        seeds = dict.fromkeys(optimizers, ())
    path = given.runs or RUNS.with_name("bench-search-quick.jsonl" if given.quick else RUNS.name)
    lines: list[dict[str, Any]] = []
    for found in run(names, optimizers, seeds, given.trials or TRIALS[given.quick], given.processes, path):
        lines += found
        for line in found:
            print(json.dumps({key: value for key, value in line.items() if "by_trial" not in key}), flush=True)
    verdict = records.verdict(lines)
    print(json.dumps(verdict))
    _print_table(lines)
    if given.out:
        shown = [json.dumps(line) for line in lines]
        given.out.write_text('{"verdict": ' + json.dumps(verdict) + ',\n"lines": [\n' + ",\n".join(shown) + "\n]}\n")
    if given.plot:
        given.plot.write_text(plots.regret_curves(lines))


def _default_optimizers(quick: bool) -> list[str]:
    return ["auto", "botorch", *PEERS, "random"] if quick else [*OURS, *PEERS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few problems, seeds and trials: at most five minutes")
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), metavar="NAME")
    parser.add_argument("--optimizers", nargs="+", metavar="NAME", help="NAME+past: with what alike problems showed")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--runs", type=Path, help="where runs are kept and looked up")
    parser.add_argument("--export", action="store_true", help="run nothing, only write what has been run")
    parser.add_argument("--out", type=Path, help="write verdict and lines into this file")
    parser.add_argument("--plot", type=Path, help="write the regret curves into this SVG file")
    return parser


def _print_table(lines: list[dict[str, Any]]) -> None:
    """Mean regret of each optimizer on each problem."""
    names = list(dict.fromkeys(line["optimizer"] for line in lines))
    cells = {(line["problem"], line["optimizer"]): line for line in lines}
    print("\n" + " " * 38 + "".join(f"{name:>14s}" for name in names), file=sys.stderr)
    for problem in dict.fromkeys(line["problem"] for line in lines):
        own = [cells.get((problem, name)) for name in names]
        shown = "".join(f"{line['regret_mean']:14.3f}" if line else " " * 14 for line in own)
        print(f"{problem:38s}{shown}", file=sys.stderr)


if __name__ == "__main__":
    main()
