"""`python -m benchmarks.few_rows DATA`: write `benchmarks/results/few_rows.json`.

Each seed draws other training rows of AG News; every way trains the same LoRA on them and is measured on test rows that
nothing was chosen by. Figures are differences from training on the rows alone, seed by seed, with their 95 % interval.
`--only` names some ways. What the file holds is not measured again.
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

import numpy as np
from scipy.stats import t

RESULTS = Path(__file__).resolve().parents[1] / "results" / "few_rows.json"
ROWS, POOL, HELD, EPOCHS = 100, 400, 400, 6
LORA = {"method": "lora", "rank": 8, "alpha": 16, "targets": "all", "top_layers": 2, "batch_size": 16}
PLAIN = "rows alone"
WAYS: Mapping[str, tuple[Mapping[str, Any], float]] = {  # hyperparameters, and epochs over those of all
    PLAIN: ({}, 1),
    "rows alone, three times as long": ({}, 3),
    "two copies (EDA)": ({"eda_copies": 2}, 1),
    "mixup": ({"mixup": 0.4}, 1),
    "contrast": ({"contrast": 0.5}, 1),
    "neighbours": ({"neighbours": 8, "neighbour_share": 0.5}, 1),
    "neighbours, a third as long": ({"neighbours": 8, "neighbour_share": 0.5}, 1 / 3),
    "rows alone, a third as long": ({}, 1 / 3),
    "self-training": ({"self_training": 1, "pool_share": 0.5}, 1),
}


def main() -> None:
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with text/ag_news")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the training rows (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else []
    there = {(row["seed"], row["way"]) for row in rows}
    with tempfile.TemporaryDirectory() as home:
        for seed in range(given.seeds):
            for way in (way for way in given.only if (seed, way) not in there):
                rows.append(
                    {"seed": seed, "way": way, **measured(given.data / "text" / "ag_news", Path(home), way, seed)}
                )
                RESULTS.write_text(
                    json.dumps({"rows_of_training": ROWS, "gain": gains(rows), "rows": rows}, indent=1) + "\n"
                )
                print(rows[-1], flush=True)
    print(json.dumps(gains(rows), indent=1))


def measured(source: Path, home: Path, way: str, seed: int) -> dict[str, float]:
    """Loss and accuracy on the test rows, and the tokens that were trained on."""
    from workers.artifacts import ArtifactStore
    from workers.assignment import Assignment
    from workers.running.trial import train
    from workers.running.workbench import Workbench

    folder = home / str(seed)
    options, longer = WAYS[way]
    task = {"type": "text-classification", "model": "builtin:minilm", "max_length": 24, **drawn(source, folder, seed)}
    fields: dict[str, Any] = {
        "trial_id": "few",
        "attempt": 1,
        "task": task,
        "config": {**LORA, "learning_rate": 2e-3, **options},
        "epochs": EPOCHS * longer,
        "seed": seed,
        "measure_latency": False,
    }
    bench = Workbench(folder, ArtifactStore(folder / "artifacts"))
    outcome = train(Assignment.model_validate(fields), bench, lambda _report: "continue")
    if outcome.status != "completed":
        raise SystemExit(f"{way}, seed {seed}: {outcome.reason}")
    return {metric: outcome.metrics[metric] for metric in ("loss", "accuracy", "train_tokens")}


def drawn(source: Path, folder: Path, seed: int) -> dict[str, str]:
    """Files of a seed: training rows, texts of other training rows without labels, and test rows, always the same."""
    lines = (source / "train.jsonl").read_text().splitlines()
    order = np.random.default_rng(seed).permutation(len(lines))[: ROWS + POOL]
    taken = [json.loads(lines[row]) for row in order]
    held = [json.loads(line) for line in (source / "test.jsonl").read_text().splitlines()[:HELD]]
    parts = {
        "train": [{"text": row["text"], "label": f"class {row['label']}"} for row in taken[:ROWS]],
        "unlabelled": [{"text": row["text"]} for row in taken[ROWS:]],
        "validation": [{"text": row["text"], "label": f"class {row['label']}"} for row in held],
    }
    folder.mkdir(exist_ok=True)
    for role, rows in parts.items():
        (folder / f"{role}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {role: str(folder / f"{role}.jsonl") for role in parts}


def gains(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By way, over the seeds that it shares with the rows alone: mean accuracy and loss, and the accuracy gained with
    half of its 95 % interval."""
    plain = {row["seed"]: row for row in rows if row["way"] == PLAIN}
    found: dict[str, dict[str, float]] = {}
    for way in WAYS:
        own = [row for row in rows if row["way"] == way and row["seed"] in plain]
        if len(own) < 2:
            continue
        ahead = [row["accuracy"] - plain[row["seed"]]["accuracy"] for row in own]
        half = float(t.ppf(0.975, len(own) - 1)) * stdev(ahead) / len(own) ** 0.5
        found[way] = {
            "seeds": len(own),
            "accuracy": round(mean(row["accuracy"] for row in own), 4),
            "loss": round(mean(row["loss"] for row in own), 4),
            "gain": round(mean(ahead), 4),
            "interval": round(half, 4),
        }
    return found


if __name__ == "__main__":
    main()
