"""`python -m workers.data JOB_FILE SPLIT OUT`: write one split of a job's data, as its trials see it, to JSON lines.

Each line holds the text columns and `label`: the index of the class in the order of the model's outputs (for tagged
words one for each), or the number. Of a language model's rows it holds the `text` that the model reads, and what of it
is `learnt`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from workers.data.rows import Rows
from workers.errors import InvalidInput
from workers.task import AnyTask
from workers.tasks.registry import task_of
from workers.tasks.section import TaskSection


def main() -> None:
    """Read the arguments, write the file, say how many rows and classes it has."""
    parser = argparse.ArgumentParser(prog="python -m workers.data", description=__doc__)
    parser.add_argument("job_file", type=Path, help="YAML or JSON with `task` and, optionally, `seed`")
    parser.add_argument("split", choices=["train", "validation", "test"])
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    job = yaml.safe_load(given.job_file.read_text(encoding="utf-8"))
    task: TaskSection = TypeAdapter(AnyTask).validate_python(job["task"])
    try:
        data = task_of(task).read(task, job.get("seed", 0))
    except InvalidInput as refusal:
        parser.error(str(refusal))
    rows: Rows | None = getattr(data, given.split)
    if rows is None:
        parser.error(f"{given.job_file} names no {given.split} data")
    if data.in_pieces:
        write_texts(rows, given.out)
        print(f"{len(rows)} rows in {given.out}, read as {data.form}")
        return
    write_lines(rows, task, given.out)
    read_as = f", read as {data.form}" if data.form else ""
    print(f"{len(rows)} rows of {len(data.labels)} classes in {given.out}{read_as}")


def write_texts(rows: Rows, out: Path) -> None:
    """Write rows of pieces as JSON lines: the whole text, and the pieces of it that are learnt."""
    with out.open("w", encoding="utf-8") as file:
        for pieces, flags in zip(rows.texts, rows.targets, strict=True):
            learnt = [piece for piece, flag in zip(pieces, flags, strict=True) if flag]
            file.write(json.dumps({"text": "".join(pieces), "learnt": learnt}, ensure_ascii=False) + "\n")


def write_lines(rows: Rows, task: TaskSection, out: Path) -> None:
    """Write rows as JSON lines under the names of the task's text columns."""
    columns = (rows.texts,) if rows.pairs is None else (rows.texts, rows.pairs)
    with out.open("w", encoding="utf-8") as file:
        for *texts, label in zip(*columns, rows.targets, strict=True):
            row = dict(zip(task.text_columns(), texts, strict=True)) | {"label": label.tolist()}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
