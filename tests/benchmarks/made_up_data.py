"""Data sets of made-up rows under the names and in the form of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.trials.plan import DATA_SETS

ROWS = {"train": 32, "validation": 16, "test": 24}


def write_data(folder: Path) -> None:
    """Two classes that a word tells apart, `ROWS` of them in each split."""
    for name in DATA_SETS:
        (folder / name).mkdir(parents=True)
        for split, rows in ROWS.items():
            lines = [
                {"text": f"{'good' if row % 2 else 'bad'} film number {row}", "label": row % 2} for row in range(rows)
            ]
            (folder / name / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
