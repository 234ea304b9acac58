"""`python -m benchmarks.engine [--quick]`: the fast engine beside Hugging Face's Trainer with peft, in one run.

Both train on one thread, one after the other, configuration by configuration. With one thread, processor time is what
a quiet machine's wall clock would show, and neighbours on the machine do not distort it, so ratios are taken from it;
wall clock is recorded too. Our time includes the frozen layers that a configuration is the first to need, the cost
measurements and the export of the adapter; loading the model is left out on both sides.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks.engine import peer
from benchmarks.engine.clock import Spent, measure
from benchmarks.engine.configurations import CONFIGURATIONS, HEAD_ONLY, Configuration
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.precision import bf16_speedup, choose
from workers.task import TaskSpec
from workers.trial import train
from workers.trial_pack import train_pack
from workers.workbench import Workbench

MODEL = "builtin:minilm"
PARTS = ("trials", "packs", "memory")
AIMS = {
    "geomean_speedup": 3.0,
    "upper_layers_speedup": 6.0,
    "pack_speedup": {"2": None, "4": None, "8": None, "16": None, "32": 15.0},
    "memory_growth": 1.02,
    "search_speedup": 10.0,
}


def main() -> None:
    """Run, print the summary, write `benchmarks/results/engine.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="96 rows instead of 1,500: at most 5 minutes")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "results" / "engine.json")
    parser.add_argument("--only", choices=PARTS, help="measure one part again and keep the others of the file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    report = json.loads(options.output.read_text()) if options.only else {"parts": {}}
    for part in (options.only,) if options.only else PARTS:
        report["parts"][part] = _measured(part, options.quick)
    report = {"summary": _summary(report["parts"]), "parts": report["parts"]}
    report["machine"] = {"cpu": torch.backends.cpu.get_cpu_capability(), "bf16_speedup": round(bf16_speedup(), 2)}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["summary"], indent=1))


def _measured(part: str, quick: bool) -> dict[str, Any]:
    """One part with the conditions it was measured under."""
    rows, started = (96, 48) if quick else (1500, 500), time.time()
    task = TaskSpec(model=MODEL, train="builtin:pydocs", max_length=64, train_rows=rows[0], validation_rows=rows[1])
    results: Any
    if part == "trials":
        ours = _Ours()
        results = [_compare(one, task, ours) for one in (*CONFIGURATIONS, HEAD_ONLY)]
    elif part == "packs":
        results = _packs(task, (2, 4, 8) if quick else (2, 4, 8, 16, 32))
    else:
        results = _memory_growth(task, trials=20 if quick else 100)
    return {
        "results": results,
        "quick": quick,
        "rows": rows,
        "threads": torch.get_num_threads(),
        "load_average": psutil.getloadavg(),
        "seconds": round(time.time() - started, 1),
    }


class _Ours:
    """One workbench per number format, with stores of hidden states that start empty."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-engine-")
        home = Path(self._folder.name)
        self.benches = {
            name: Workbench(home / name, ArtifactStore(home / "artifacts"), precision=name)  # type: ignore[arg-type]
            for name in ("fp32", "bf16")
        }

    def train(self, configuration: Configuration, task: TaskSpec, precision: str, epochs: int) -> tuple[Spent, Outcome]:
        bench = self.benches[precision]
        bench.base(MODEL, len(bench.data(task, 0).tokens.classes))  # loading is not counted for the peer either
        assignment = Assignment(
            trial_id="bench", attempt=1, task=task, config=configuration.config(), epochs=epochs, seed=0,
            measure_latency=False,
        )  # fmt: skip
        with measure() as spent:
            outcome = train(assignment, bench, lambda _report: "continue")
        if outcome.status != "completed":
            raise RuntimeError(f"{configuration.label}: {outcome.reason}")
        return spent, outcome


def _compare(configuration: Configuration, task: TaskSpec, ours: _Ours, epochs: int = 2) -> dict[str, Any]:
    theirs, their_accuracy = peer.train(MODEL, configuration, ours.benches["fp32"].data(task, 0), epochs, seed=0)
    row: dict[str, Any] = {
        "label": configuration.label,
        "upper": configuration.upper,
        "config": configuration.config(),
        "trainer": {"processor_s": theirs.processor, "wall_s": theirs.wall, "accuracy": their_accuracy},
    }
    for precision in ours.benches:
        spent, outcome = ours.train(configuration, task, precision, epochs)
        row[precision] = {
            "processor_s": spent.processor,
            "wall_s": spent.wall,
            "accuracy": outcome.metrics["accuracy"],
            "speedup": theirs.processor / spent.processor,
            "wall_speedup": theirs.wall / spent.wall,
            "engine": outcome.engine,
        }
    print(
        f"{configuration.label:28s} fp32 {row['fp32']['speedup']:6.2f}x  bf16 {row['bf16']['speedup']:6.2f}x",
        flush=True,
    )
    return row


def _packs(task: TaskSpec, sizes: tuple[int, ...]) -> dict[str, float]:
    """Time of training trials one after another over that of one pack, by members; both find the prefix stored."""
    ours, ratios = _Ours(), {}
    bench = ours.benches["fp32"]
    for members in sizes:
        trials = [
            Configuration("pack", "lora", {"rank": 1 + index % 16, "alpha": 16, "targets": "qv", "top_layers": 2}, 8)
            for index in range(members)
        ]
        ours.train(trials[0], task, "fp32", epochs=1)
        with measure() as apart:
            for one in trials:
                ours.train(one, task, "fp32", epochs=1)
        assignments = [
            Assignment(
                trial_id=str(index), attempt=1, task=task, config=one.config(), epochs=1, seed=index,
                measure_latency=False,
            )
            for index, one in enumerate(trials)
        ]  # fmt: skip
        with measure() as together:
            outcomes = list(train_pack(assignments, bench, lambda _report: "continue"))
        assert all(outcome.status == "completed" for outcome in outcomes)
        ratios[str(members)] = round(apart.processor / together.processor, 2)
        print(f"pack of {members:2d} {ratios[str(members)]:5.2f}x", flush=True)
    return ratios


def _memory_growth(task: TaskSpec, trials: int) -> float:
    """Resident memory after `trials` different trials over that after the first fifth of them."""
    ours, process = _Ours(), psutil.Process()
    sizes = []
    for index in range(trials):
        knobs = {"rank": 1 + index % 16, "alpha": 16, "targets": "qv", "top_layers": 1}
        ours.train(Configuration("memory", "lora", knobs), task, "fp32", epochs=1)
        sizes.append(process.memory_info().rss)
    return sizes[-1] / sizes[trials // 5]


def _summary(parts: dict[str, Any]) -> dict[str, Any]:
    """Every promise beside its aim; `default_precision` is the number format that `auto` chooses here."""
    *rows, head = parts["trials"]["results"]
    default = choose("auto")

    def speedup(precision: str, chosen: list[dict[str, Any]]) -> float:
        return round(statistics.geometric_mean(row[precision]["speedup"] for row in chosen), 2)

    upper = [row for row in rows if row["upper"]]
    lower = [row for row in rows if not row["upper"]]
    measured: dict[str, Any] = {
        "geomean_speedup": speedup(default, rows),
        "upper_layers_speedup": speedup(default, upper),
        "pack_speedup": parts["packs"]["results"],
        "memory_growth": round(parts["memory"]["results"], 4),
        "search_speedup": None,
    }
    return {name: {"measured": value, "aim": AIMS[name]} for name, value in measured.items()} | {
        "default_precision": default,
        "geomean_speedup_fp32": speedup("fp32", rows),
        "upper_layers_speedup_fp32": speedup("fp32", upper),
        "other_layers_speedup": {"fp32": speedup("fp32", lower), default: speedup(default, lower)},
        "head_only_speedup": {"fp32": speedup("fp32", [head]), default: speedup(default, [head])},
        "configurations": len(rows),
        "notes": {
            "pack_speedup": "one thread of a CPU, which one trial fills already; the aim of 15 is for a GPU",
            "search_speedup": "not measured by this command",
        },
    }


if __name__ == "__main__":
    main()
