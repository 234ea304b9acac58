"""`python -m benchmarks.task_updates DATA`: write `benchmarks/results/task_updates.json`.

Each way's learning rate is the best of a few on validation rows, with a seed of its own; what is compared are test
rows, with other seeds for draws of rows, start and order. What the file holds is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.task_updates.comparisons import COMPARISONS, section

RESULTS = Path(__file__).resolve().parents[1] / "results" / "task_updates.json"
CHOOSING = 100  # the seed that rates are chosen with


def main() -> None:
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with text/trec, regression/stsb and tokens/wnut17")
    parser.add_argument("--only", choices=COMPARISONS, help="one of the comparisons")
    parser.add_argument("--seeds", type=int, default=3, help="on test rows (default %(default)s)")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else []
    for name in COMPARISONS if given.only is None else (given.only,):
        for way in COMPARISONS[name].ways:
            _compare(given.data, name, way, given.seeds, rows)
    print(json.dumps(means(rows), indent=1))


def _compare(data: Path, name: str, way: str, seeds: int, rows: list[dict[str, Any]]) -> None:
    """Add what is missing of one way."""
    for rate in COMPARISONS[name].rates:
        _measured(data, rows, name, way, "validation", CHOOSING, rate)
    for seed in range(seeds):
        _measured(data, rows, name, way, "test", seed, _chosen(rows, name, way))


def _measured(
    data: Path, rows: list[dict[str, Any]], name: str, way: str, split: str, seed: int, rate: float
) -> dict[str, Any]:
    """One training's row: the one that is known, or a new one."""
    asked = {"comparison": name, "way": way, "split": split, "seed": seed, "learning_rate": rate}
    known = next((row for row in rows if asked.items() <= row.items()), None)
    if known is not None:
        return known
    from workers.running.repeating import train_again

    compared = COMPARISONS[name]
    config = {"batch_size": compared.batch_size, "learning_rate": rate, **compared.ways[way]}
    with tempfile.TemporaryDirectory() as folder:
        found = train_again(
            section(name, data, split),
            [(None, config)],
            Path(folder) / "adapter",
            epochs=compared.epochs,
            seed=seed,
            data_seed=seed,
        ).metrics
    kept = {metric: round(found[metric], 4) for metric in (compared.metric, *compared.told, "trainable_params")}
    rows.append(asked | kept)
    RESULTS.write_text(json.dumps({"summary": means(rows), "rows": rows}, indent=1) + "\n")
    print(rows[-1], flush=True)
    return rows[-1]


def _chosen(rows: Sequence[Mapping[str, Any]], name: str, way: str) -> float:
    """The learning rate that is the best of a way on validation rows."""
    tried = [row for row in rows if (row["comparison"], row["way"], row["split"]) == (name, way, "validation")]
    rate: float = max(tried, key=lambda row: row[COMPARISONS[name].metric])["learning_rate"]
    return rate


def means(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean and spread of each way's metrics on test rows, at the rate that is its best on validation rows."""
    found = []
    for name, compared in COMPARISONS.items():
        for way in compared.ways:
            own = [row for row in rows if (row["comparison"], row["way"], row["split"]) == (name, way, "test")]
            own = [row for row in own if row["learning_rate"] == _chosen(rows, name, way)]
            if len(own) < 2:
                continue
            told: dict[str, Any] = {"comparison": name, "way": way, "seeds": len(own)}
            told |= {"learning_rate": own[0]["learning_rate"], "trainable_params": own[0]["trainable_params"]}
            for metric in (compared.metric, *compared.told):
                values = [row[metric] for row in own]
                told[metric] = [round(mean(values), 4), round(stdev(values), 4)]
            found.append(told)
    return found


if __name__ == "__main__":
    main()
