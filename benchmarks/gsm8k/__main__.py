"""`python -m benchmarks.gsm8k --data FOLDER`: exact match on GSM8K of a LoRA beside its base, with intervals.

The folder holds `train.jsonl` and `test.jsonl` with `prompt` and `completion`. One configuration (the preset's modes,
the upper layers of builtin:smollm2) is trained on some rows; then it and the base answer the same test rows, greedily.
Whatever comes out is the result: a model of 135 M that has seen some hundred rows is not expected to do sums. The
record goes to `benchmarks/results/gsm8k.json` (`gsm8k.quick.json` with --quick).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.generation.section import ANSWERS_FILE
from workers.running.trial import train
from workers.running.workbench import Workbench

RESULTS = Path(__file__).parents[1] / "results"
PATTERN = r"-?\d[\d,]*(?:\.\d+)?"
"""The last number of an answer: a base that does not know the mark before GSM8K's results is not at a loss for it."""
LEVEL = 1.959964  # standard deviations of a 95 % interval
CONFIG = {
    "method": "lora",
    "rank": 16,
    "alpha": 32,
    "targets": "all",
    "learning_rate": 1e-3,
    "batch_size": 8,
    "warmup_ratio": 0.06,
    "schedule": "cosine",
}


def main() -> None:
    """Train, answer, print and write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gsm8k", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=512, help="training rows")
    parser.add_argument("--asked", type=int, default=200, help="test rows that are answered")
    parser.add_argument("--layers", type=int, default=10, help="upper layers that are trained")
    parser.add_argument("--quick", action="store_true", help="64 rows, 24 of them asked, 4 layers")
    given = parser.parse_args()
    rows, asked, layers = (64, 24, 4) if given.quick else (given.rows, given.asked, given.layers)
    record = measured(given.data, rows, asked, layers)
    name = "gsm8k.quick.json" if given.quick else "gsm8k.json"
    (RESULTS / name).write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def measured(data: Path, rows: int, asked: int, layers: int) -> dict[str, Any]:
    """Both exact matches with their intervals, and what training and answering took."""
    started = time.monotonic()
    config = CONFIG | {"top_layers": layers}
    generation = {"metrics": ["exact_match"], "answer_pattern": PATTERN, "rows": asked, "max_new_tokens": 200}
    task = {
        "type": "causal-lm",
        "model": "builtin:smollm2",
        "train": str(data / "train.jsonl"),
        "validation": str(data / "test.jsonl"),
        "train_rows": rows,
        "validation_rows": max(asked, 64),
        "max_length": 320,
        "overlong": "drop",
        "generation": generation,
    }
    with tempfile.TemporaryDirectory() as home:
        workbench = Workbench(Path(home), ArtifactStore(Path(home) / "artifacts"), precision="auto")
        assignment = Assignment.model_validate(
            {"trial_id": "gsm8k-0", "attempt": 1, "task": task, "config": config, "epochs": 2.0, "seed": 0}
            | {"measure_latency": False}
        )
        found = train(assignment, workbench, lambda _report: "continue")
        if found.adapter is None:
            raise SystemExit(found.reason)
        folder = workbench.artifacts.extract(found.adapter.sha256, Path(home) / "adapter")
        kept = json.loads((folder / ANSWERS_FILE).read_text(encoding="utf-8"))
    count = int(kept["rows"])
    return {
        "model": "builtin:smollm2",
        "config": config,
        "train_rows": rows,
        "epochs": 2,
        "asked": count,
        "base": with_interval(kept["base_metrics"]["exact_match"], count),
        "winner": with_interval(kept["metrics"]["exact_match"], count),
        "loss": found.metrics["loss"],
        "train_seconds": found.metrics["train_seconds"],
        "seconds": time.monotonic() - started,
        "example": kept["answers"][0] if kept["answers"] else None,
    }


def with_interval(share: float, count: int) -> dict[str, float]:
    """A share of `count` with its 95 % interval by Wilson (1927), which holds at 0 and at 1, too."""
    square = LEVEL * LEVEL
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = LEVEL / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return {"exact_match": share, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}


if __name__ == "__main__":
    main()
