"""What one suggestion costs as the history grows, beside Optuna's GPSampler: `python -m benchmarks.search.cost`.

CPU seconds of this process, so that what else runs on the machine does not count; torch and BLAS use one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # read when numpy is loaded, hence before the other imports

import numpy as np  # noqa: E402

from benchmarks.search import plots  # noqa: E402
from benchmarks.search.computed import autopeft  # noqa: E402
from benchmarks.search.peers import in_this_process  # noqa: E402

REPEATS = 3


def cost(name: str, trials: int) -> float:
    """CPU seconds of one suggestion after `trials` random trials of 16 mixed parameters and two objectives."""
    given, rng = autopeft(), np.random.default_rng(0)
    player = in_this_process(name, given.problem, seed=0)
    player.remember([(config, given.measure(config, rng)) for config in given.problem.space.sample(trials, rng)])
    player.ask()  # imports and first calls
    start = time.process_time()
    for _ in range(REPEATS):
        player.ask()
    return (time.process_time() - start) / REPEATS


def main() -> None:
    """Print one JSON line per optimizer and length of history."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[40, 100, 200, 400, 1000, 3000, 10_000])
    parser.add_argument("--optimizers", nargs="+", default=["gp", "optuna-gp"])
    parser.add_argument("--peer-limit", type=int, default=200, help="longest history for the peers, which are cubic")
    parser.add_argument("--out", type=Path, help="write the lines into this file")
    parser.add_argument("--plot", type=Path, help="write the curves into this SVG file")
    given = parser.parse_args()
    lines = []
    for name in given.optimizers:
        for trials in given.trials:
            if not name.startswith("optuna") or trials <= given.peer_limit:
                lines.append({"optimizer": name, "trials": trials, "cpu_seconds": round(cost(name, trials), 4)})
                print(json.dumps(lines[-1]), flush=True)
    if given.out:
        given.out.write_text("[\n" + ",\n".join(map(json.dumps, lines)) + "\n]\n")
    if given.plot:
        given.plot.write_text(plots.cost_curves(lines))


if __name__ == "__main__":
    main()
