"""`python -m benchmarks.row_filter DATA`: write `benchmarks/results/row_filter.json`.

Of the training rows a share is made wrong: labels of AG News, or answers of Alpaca, are exchanged. Each way of leaving
as many rows out trains the same configuration; the figures are those of untouched rows that nothing was chosen by.
`--only` measures one of the two; the file keeps the other.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

RESULTS = Path(__file__).resolve().parents[1] / "results" / "row_filter.json"
WRONG = 0.4
WAYS: Mapping[str, Mapping[str, Any]] = {
    "all rows": {},
    "random": {"drop_share": WRONG, "drop_by": "random"},
    "perplexity": {"drop_share": WRONG, "drop_by": "perplexity"},
    "color": {"drop_share": WRONG, "drop_by": "color"},
}
LORA = {"method": "lora", "rank": 8, "alpha": 16, "targets": "all", "learning_rate": 2e-3, "batch_size": 16}
SETS: Mapping[str, Mapping[str, Any]] = {
    "ag_news": {
        "folder": "text/ag_news",
        "task": {"type": "text-classification", "model": "builtin:minilm", "max_length": 40},
        "rows": (240, 400, 40),
        "config": LORA | {"top_layers": 4},
        "epochs": 6,
        "exchanged": "label",
    },
    "alpaca": {
        "folder": "sft/alpaca_en",
        "task": {"type": "causal-lm", "model": "builtin:smollm2", "max_length": 128, "overlong": "drop"},
        "rows": (96, 48, 32),
        "config": LORA | {"top_layers": 6, "learning_rate": 1e-3},
        "epochs": 3,
        "exchanged": "output",
    },
}


def main() -> None:
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with text/ag_news and sft/alpaca_en")
    parser.add_argument("--only", choices=SETS, help="one of the sets")
    parser.add_argument("--seeds", type=int, default=3, help="draws of rows and errors (default %(default)s)")
    given = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name, settings in SETS.items():
        if given.only in (None, name):
            found[name] = measured(given.data, settings, given.seeds)
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")
            print(name, json.dumps(found[name]["mean"], indent=1), flush=True)


def measured(data: Path, settings: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """Every way on every draw: metrics, and their means."""
    from workers.artifacts import ArtifactStore
    from workers.assignment import Assignment
    from workers.running.trial import train
    from workers.running.workbench import Workbench

    rows = []
    with tempfile.TemporaryDirectory() as home:
        for seed in range(seeds):
            folder = Path(home) / str(seed)
            paths = write_rows(data / settings["folder"], folder, settings, seed)
            bench = Workbench(folder, ArtifactStore(folder / "artifacts"))
            for way, filtered in WAYS.items():
                given = Assignment.model_validate(
                    {
                        "trial_id": way,
                        "attempt": 1,
                        "task": settings["task"] | paths,
                        "config": settings["config"] | filtered,
                        "epochs": settings["epochs"],
                        "seed": seed,
                        "measure_latency": False,
                    }
                )
                outcome = train(given, bench, lambda _report: "continue")
                if outcome.status != "completed":
                    raise SystemExit(f"{way}, seed {seed}: {outcome.reason}")
                told = {name: outcome.metrics[name] for name in ("loss", "accuracy") if name in outcome.metrics}
                rows.append({"way": way, "seed": seed, **told, "train_tokens": outcome.metrics["train_tokens"]})
                print(rows[-1], flush=True)
    names = [name for name in rows[0] if name not in ("way", "seed")]
    means = {
        way: {name: round(mean(row[name] for row in rows if row["way"] == way), 4) for name in names} for way in WAYS
    }
    return {"wrong": WRONG, "mean": means, "rows": rows}


def write_rows(source: Path, folder: Path, settings: Mapping[str, Any], seed: int) -> dict[str, str]:
    """Files of a draw's training rows, of which a share is wrong, of untouched ones, and of trusted ones."""
    draw = np.random.default_rng(seed)
    train, held, trusted = settings["rows"]
    lines = [json.loads(line) for line in (source / "train.jsonl").read_text().splitlines()]
    lines = [lines[row] for row in draw.permutation(len(lines))]
    measured = [json.loads(line) for line in (source / "validation.jsonl").read_text().splitlines()]
    field, noisy = settings["exchanged"], [dict(line) for line in lines[:train]]
    wrong = draw.choice(train, round(WRONG * train), replace=False)
    others = sorted({line[field] for line in noisy}, key=str)
    for row in wrong:
        noisy[row][field] = draw.choice([other for other in others if other != noisy[row][field]]).item()
    parts = {"train": noisy, "validation": measured[:held], "trusted": lines[train : train + trusted]}
    folder.mkdir()
    for role, own in parts.items():
        (folder / f"{role}.jsonl").write_text("".join(json.dumps(_columns(line)) + "\n" for line in own))
    return {role: str(folder / f"{role}.jsonl") for role in parts}


def _columns(line: Mapping[str, Any]) -> dict[str, Any]:
    """Of AG News text and class; of Alpaca the prompt and its completion."""
    if "output" not in line:
        return {"text": line["text"], "label": f"class {line['label']}"}
    prompt = f"{line['instruction']}\n{line['input']}".strip()
    return {"prompt": f"{prompt}\n", "completion": line["output"]}


if __name__ == "__main__":
    main()
