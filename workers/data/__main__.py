"""`python -m workers.data JOB_FILE SPLIT OUT`: write one split of a job's data, as its trials see it, to JSON lines.

Each line holds the text columns and `label`, the index of the class in the order of the model's outputs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml

from workers.data.rows import Rows
from workers.data.sources import load_data
from workers.errors import InvalidInput
from workers.task import TaskSpec


def main() -> None:
    """Read the arguments, write the file, say how many rows and classes it has."""
    parser = argparse.ArgumentParser(prog="python -m workers.data", description=__doc__)
    parser.add_argument("job_file", type=Path, help="YAML or JSON with `task` and, optionally, `seed`")
    parser.add_argument("split", choices=["train", "validation", "test"])
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    job = yaml.safe_load(given.job_file.read_text(encoding="utf-8"))
    task = TaskSpec.model_validate(job["task"])
    try:
        data = load_data(task, job.get("seed", 0))
    except InvalidInput as refusal:
        parser.error(str(refusal))
    rows: Rows | None = getattr(data, given.split)
    if rows is None:
        parser.error(f"{given.job_file} names no {given.split} data")
    write_lines(rows, task, given.out)
    print(f"{len(rows)} rows of {len(data.classes)} classes in {given.out}")


def write_lines(rows: Rows, task: TaskSpec, out: Path) -> None:
    """Write rows as JSON lines under the names of the task's text columns."""
    columns = (rows.texts,) if rows.pairs is None else (rows.texts, rows.pairs)
    with out.open("w", encoding="utf-8") as file:
        for *texts, label in zip(*columns, rows.labels.tolist(), strict=True):
            row = dict(zip(task.text_columns(), texts, strict=True)) | {"label": label}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
