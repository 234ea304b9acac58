"""`python -m benchmarks.row_filter DATA`: write `benchmarks/results/row_filter.json`.

Of the training rows a share is made wrong: labels of AG News, or answers of Alpaca, are exchanged. Each way of leaving
as many rows out trains the same configuration; the figures are those of untouched rows that nothing was chosen by.
`--only` measures one of the two. What the file holds is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

RESULTS = Path(__file__).resolve().parents[1] / "results" / "row_filter.json"
WRONG = 0.4
METRICS = ("loss", "accuracy", "train_tokens")
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
        "task": {"type": "text-classification", "model": "builtin:minilm", "max_length": 24},
        "rows": (160, 400, 32),
        "config": LORA | {"top_layers": 2},
        "epochs": 6,
        "exchanged": "label",
    },
    "alpaca": {
        "folder": "sft/alpaca_en",
        "task": {"type": "causal-lm", "model": "builtin:smollm2", "max_length": 96, "overlong": "drop"},
        "rows": (64, 32, 24),
        "config": LORA | {"top_layers": 4, "learning_rate": 1e-3},
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
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else []
    for name in SETS if given.only is None else (given.only,):
        for row in measured(given.data, name, given.seeds, rows):
            rows.append(row)
            RESULTS.write_text(json.dumps({"wrong": WRONG, "mean": means(rows), "rows": rows}, indent=1) + "\n")
            print(row, flush=True)
    print(json.dumps(means(rows), indent=1))


def measured(data: Path, name: str, seeds: int, known: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every way on every draw that is not known yet, with its metrics."""
    from workers.artifacts import ArtifactStore
    from workers.assignment import Assignment
    from workers.running.trial import train
    from workers.running.workbench import Workbench

    settings = SETS[name]
    there = {(row["set"], row["seed"], row["way"]) for row in known}
    with tempfile.TemporaryDirectory() as home:
        for seed in range(seeds):
            folder = Path(home) / str(seed)
            paths = write_rows(data / settings["folder"], folder, settings, seed)
            bench = Workbench(folder, ArtifactStore(folder / "artifacts"))
            for way in (way for way in WAYS if (name, seed, way) not in there):
                fields: dict[str, Any] = {
                    "trial_id": way,
                    "attempt": 1,
                    "task": {**settings["task"], **paths},
                    "config": {**settings["config"], **WAYS[way]},
                    "epochs": settings["epochs"],
                    "seed": seed,
                    "measure_latency": False,
                }
                outcome = train(Assignment.model_validate(fields), bench, lambda _report: "continue")
                if outcome.status != "completed":
                    raise SystemExit(f"{name}, {way}, seed {seed}: {outcome.reason}")
                told = {metric: outcome.metrics[metric] for metric in METRICS if metric in outcome.metrics}
                yield {"set": name, "seed": seed, "way": way, **told}


def means(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """By set and way, over the seeds that have all ways."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        whole = [seed for seed in {row["seed"] for row in own} if sum(row["seed"] == seed for row in own) == len(WAYS)]
        for way in WAYS if whole else ():
            here = [row for row in own if row["way"] == way and row["seed"] in whole]
            told = {metric: round(mean(row[metric] for row in here), 4) for metric in METRICS if metric in here[0]}
            found.setdefault(name, {})[way] = {"seeds": len(whole), **told}
    return found


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
