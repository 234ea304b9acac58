"""`python -m benchmarks.distilled_rows DATA`: write `benchmarks/results/distilled_rows.json`.

Configurations of a classifier on the features of `builtin:minilm` (rate, width, weight decay, dropout, batch, label
smoothing) are trained on all rows, and on few: distilled ones, random ones, representative ones of the same number; and
on all rows for as many steps as these took (`first steps`). Each way ranks the configurations by the loss on validation
rows; what is told is the rank correlation with the ranks by the full training.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import spearmanr
from torch.nn import functional

from benchmarks.distilled_rows.distilling import Data, distilled, drawn, logits, random_rows, representative

RESULTS = Path(__file__).resolve().parents[1] / "results" / "distilled_rows.json"
SETS = ("ag_news", "trec")
TRAIN, VALIDATION, TOKENS = 480, 300, 24
CONFIGURATIONS, EPOCHS, FEW_EPOCHS = 24, 4, 20
PER_CLASS, SEEDS = (2, 10), 2
WAYS: Mapping[str, Callable[[Data, int, int], Data]] = {
    "distilled": distilled,
    "random": random_rows,
    "representative": representative,
}


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with text/ag_news and text/trec")
    parser.add_argument("--only", choices=SETS, help="one of the sets; the file keeps the other")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text())["rows"] if RESULTS.is_file() else []
    for name in SETS if given.only is None else (given.only,):
        rows = [row for row in rows if row["data_set"] != name]
        rows += measured(name, given.data / "text" / name)
        print(json.dumps(rows[-1]), flush=True)
        RESULTS.write_text(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) + "\n")
    print(json.dumps(summary(rows), indent=1))


def measured(name: str, folder: Path) -> list[dict[str, Any]]:
    """Rank correlations of every way, number of rows and seed, on one data set."""
    train, held = features(folder / "train.jsonl", TRAIN), features(folder / "validation.jsonl", VALIDATION)
    centre, spread = train.inputs.mean(0), train.inputs.std()
    train, held = (Data((one.inputs - centre) / spread, one.classes) for one in (train, held))
    configs = configurations(0)
    truth = [mean(loss_of(config, train, held, EPOCHS, seed) for seed in (1, 2)) for config in configs]
    found = []
    for per_class in PER_CLASS:
        for seed in range(SEEDS):
            row: dict[str, Any] = {"data_set": name, "per_class": per_class, "seed": seed}
            for way, choose in WAYS.items():
                few = choose(train, per_class, seed)
                losses = [loss_of(config, few, held, FEW_EPOCHS, seed) for config in configs]
                row[way] = told(losses, truth)
            share = FEW_EPOCHS * len(few.classes) / len(train.classes)
            row["first steps"] = told([loss_of(config, train, held, share, seed) for config in configs], truth)
            found.append(row)
    return found


def told(losses: list[float], truth: list[float]) -> dict[str, float]:
    """Rank correlation, the best loss reached, and how much worse its choice does on all rows than the best one."""
    chosen = truth[int(np.argmin(losses))]
    correlation = float(spearmanr(losses, truth).statistic)
    return {"rank": round(correlation, 4), "loss": round(min(losses), 4), "regret": round(chosen - min(truth), 4)}


def configurations(seed: int) -> list[dict[str, Any]]:
    """What a search would propose."""
    draw = random.Random(seed)
    return [
        {
            "rate": 10 ** draw.uniform(-3.5, -0.5),
            "width": draw.choice((8, 32, 128)),
            "decay": draw.choice((0.0, 0.01, 0.1)),
            "dropout": draw.choice((0.0, 0.2, 0.5)),
            "batch": draw.choice((8, 16, 32)),
            "smoothing": draw.choice((0.0, 0.1, 0.3)),
        }
        for _ in range(CONFIGURATIONS)
    ]


def loss_of(config: Mapping[str, Any], data: Data, held: Data, epochs: float, seed: int) -> float:
    """Mean cross-entropy on held-out rows after AdamW with a linear fall, of so many passes over `data`."""
    classes = int(held.classes.max()) + 1
    weights = tuple(one.requires_grad_(True) for one in drawn(data.inputs.shape[1], config["width"], classes, seed))
    batch = min(config["batch"], len(data.classes))
    steps = max(1, round(epochs * len(data.classes) / batch))
    learner = torch.optim.AdamW(weights, config["rate"], weight_decay=config["decay"], foreach=True)
    fall = torch.optim.lr_scheduler.LambdaLR(learner, lambda step: 1 - step / steps)
    torch.manual_seed(seed)
    order = torch.cat([torch.randperm(len(data.classes)) for _ in range(steps * batch // len(data.classes) + 1)])
    for step in range(steps):
        part = data.take(order[step * batch : (step + 1) * batch])
        seen = functional.dropout(part.inputs, config["dropout"])
        loss = functional.cross_entropy(logits(weights, seen), part.classes, label_smoothing=config["smoothing"])
        learner.zero_grad()
        loss.backward()
        learner.step()
        fall.step()
    with torch.no_grad():
        return min(float(functional.cross_entropy(logits(weights, held.inputs), held.classes)), 100.0)


def features(file: Path, count: int) -> Data:
    """Mean states of the last layer of a sample of a file, cut to `TOKENS`."""
    from workers.models.loading import load_base, load_tokenizer

    lines = random.Random(0).sample([json.loads(line) for line in file.read_text().splitlines()], count)
    base, tokenizer = load_base("builtin:minilm", 2), load_tokenizer("builtin:minilm")
    body: Any = getattr(base.model, base.description.anatomy.body)
    found = []
    for at in range(0, len(lines), 50):
        texts = [line["text"] for line in lines[at : at + 50]]
        batch = tokenizer(texts, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
        with torch.no_grad():
            states, mask = body(**batch).last_hidden_state, batch["attention_mask"][..., None]
        found.append((states * mask).sum(1) / mask.sum(1))
    return Data(torch.cat(found), torch.tensor([line["label"] for line in lines]))


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds, with the spread of the rank correlations."""
    found = []
    for key in dict.fromkeys((row["data_set"], row["per_class"]) for row in rows):
        own = [row for row in rows if (row["data_set"], row["per_class"]) == key]
        line: dict[str, Any] = {"data_set": key[0], "per_class": key[1]}
        for way in (*WAYS, "first steps"):
            ranks = [row[way]["rank"] for row in own]
            line[way] = {
                "rank": round(mean(ranks), 3),
                "spread": round(stdev(ranks), 3),
                "loss": round(mean(row[way]["loss"] for row in own), 3),
                "regret": round(mean(row[way]["regret"] for row in own), 4),
            }
        found.append(line)
    return found


if __name__ == "__main__":
    main()
