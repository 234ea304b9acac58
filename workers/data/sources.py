"""From a task's `train`, `validation` and `test` to labelled rows. Imports no torch: the API validates with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.data.files import Columns, find_split, read_arrow, read_columns
from workers.data.pydocs import read_pydocs
from workers.data.rows import LabelledData, Rows
from workers.data.splits import balanced_sample, stratified_split
from workers.errors import InvalidInput
from workers.task import TaskSpec

DEFAULT_FRACTION = 0.2
_HUB = re.compile(r"hub:(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class DataSummary:
    """What admission needs to know about a task's data."""

    classes: tuple[str, ...]
    train_rows: int
    validation_rows: int
    test_rows: int | None


def summarise(task: TaskSpec, seed: int = 0) -> DataSummary:
    """Read and validate a task's data. Raises `InvalidInput` for the first problem found."""
    data = load_data(task, seed)
    return DataSummary(
        data.classes, len(data.train), len(data.validation), None if data.test is None else len(data.test)
    )


def load_data(task: TaskSpec, seed: int = 0) -> LabelledData:
    """Read the rows of a task, split and sample them with `seed`: the job's, the same for all of its trials.

    Classes are sorted: integers by value, strings alphabetically, `ClassLabel` columns in their own order.
    Without `validation`, a source that has a validation split of its own uses it; otherwise a fifth is split off.
    Raises `InvalidInput` naming the field.
    """
    train = _read(task, task.train, "train")
    classes = _classes(train)
    train_rows = _rows(train, classes, "train")
    test, train_rows = _test(task, train_rows, classes, seed)
    validation_rows, train_rows = _validation(task, train_rows, classes, seed)
    return LabelledData(
        tuple(str(one) if train.names is None else train.names[int(one)] for one in classes),
        _sample(train_rows, task.train_rows, seed, "train_rows"),
        _sample(validation_rows, task.validation_rows, seed + 1, "validation_rows"),
        test,
    )


@dataclass(frozen=True)
class _Table:
    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: list[Any]
    names: tuple[str, ...] | None
    source: str


def _read(task: TaskSpec, source: str, role: str) -> _Table:
    """Read the split `role` of a source, which must have it."""
    table = _read_if_there(task, source, role)
    if table is None:
        raise InvalidInput(role, source, f"a folder with a `{role}` split (like {role}.csv or {role}-*.parquet)")
    return table


def _read_if_there(task: TaskSpec, source: str, role: str) -> _Table | None:
    """Read the split `role` of a source; None when it is a folder without that split."""
    texts = task.text_columns()
    wanted = list(dict.fromkeys([*texts, task.label]))
    if source.startswith("builtin:"):
        columns = _read_builtin(source, wanted, role)
    else:
        found = _read_files(source, wanted, task.label, role)
        if found is None:
            return None
        columns = found
    first = _texts(columns, texts[0], source, role)
    second = _texts(columns, texts[1], source, role) if len(texts) == 2 else None
    return _Table(first, second, _labels(columns, task.label, source), columns.class_names, source)


def _read_builtin(source: str, wanted: list[str], role: str) -> Columns:
    if source != "builtin:pydocs":
        raise InvalidInput(role, source, ["builtin:pydocs"])
    values = read_pydocs(role)
    missing = next((name for name in wanted if name not in values), None)
    if missing is not None:
        raise InvalidInput(role, f"column {missing!r} of {source}", values)
    return Columns(values)


def _read_files(source: str, wanted: list[str], label: str, role: str) -> Columns | None:
    path = _fetch(source, role) if source.startswith("hub:") else Path(source).expanduser()
    if path.is_file():
        return read_columns(path, wanted, label, role)
    if not path.is_dir():
        raise InvalidInput(role, source, "an existing file or folder", f"{role}: no such file or folder: {source}")
    files = find_split(path, role, role)
    parts = [(read_arrow if one.suffix == ".arrow" else read_columns)(one, wanted, label, role) for one in files]
    if not parts:
        return None
    merged = {name: [value for part in parts for value in part.values[name]] for name in wanted}
    return Columns(merged, parts[0].class_names)


def _fetch(source: str, role: str) -> Path:
    match = _HUB.fullmatch(source)
    if match is None:
        raise InvalidInput(role, source, "hub:owner/name, hub:owner/name/config, each with an optional @revision")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.parquet", "*.csv", "*.tsv", "*.jsonl"]
    try:
        folder = Path(
            snapshot_download(
                match["repository"], repo_type="dataset", revision=match["revision"], allow_patterns=patterns
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        detail = str(error).splitlines()[0]
        raise InvalidInput(role, source, "a data set this machine can reach", f"{role}: {source}: {detail}") from error
    return folder / match["config"] if match["config"] else folder


def _texts(columns: Columns, name: str, source: str, role: str) -> tuple[str, ...]:
    values = columns.values[name]
    for number, value in enumerate(values, start=1):
        if not isinstance(value, str):
            raise InvalidInput(role, f"{value!r} in column {name!r}, row {number} of {source}", "text in every row")
    return tuple(values)


def _labels(columns: Columns, name: str, source: str) -> list[Any]:
    values = columns.values[name]
    for number, value in enumerate(values, start=1):
        if not isinstance(value, int | str) or value == "":
            raise InvalidInput(
                "label", f"{value!r} in column {name!r}, row {number} of {source}", "integers or strings in every row"
            )
    if len({isinstance(value, str) for value in values}) > 1:
        raise InvalidInput("label", f"integers and strings in column {name!r} of {source}", "one kind of label")
    return values


def _classes(table: _Table) -> tuple[Any, ...]:
    present = set(table.labels)
    if len(present) < 2:
        raise InvalidInput("label", f"{sorted(present)} as the only class of {table.source}", "at least two classes")
    if table.names is not None and all(isinstance(one, int) for one in present):
        return tuple(range(len(table.names)))
    return tuple(sorted(present))


def _rows(table: _Table, classes: tuple[Any, ...], role: str) -> Rows:
    index = {one: position for position, one in enumerate(classes)}
    unknown = sorted({repr(one) for one in table.labels if one not in index})
    if unknown:
        raise InvalidInput(
            role, f"labels {', '.join(unknown[:5])} that train does not have", [repr(c) for c in classes]
        )
    if not table.labels:
        raise InvalidInput(role, f"no rows in {table.source}", "at least one row")
    return Rows(table.texts, table.pairs, np.array([index[one] for one in table.labels], dtype=np.int32))


def _validation(task: TaskSpec, train: Rows, classes: tuple[Any, ...], seed: int) -> tuple[Rows, Rows]:
    """(validation, what is left of train)."""
    if isinstance(task.validation, str):
        return _rows(_read(task, task.validation, "validation"), classes, "validation"), train
    if task.validation is None:
        own = None if Path(task.train).is_file() else _read_if_there(task, task.train, "validation")
        if own is not None:
            return _rows(own, classes, "validation"), train
    return _split_off(train, DEFAULT_FRACTION if task.validation is None else task.validation, seed, "validation")


def _test(task: TaskSpec, train: Rows, classes: tuple[Any, ...], seed: int) -> tuple[Rows | None, Rows]:
    """(test, what is left of train). Split off before validation, so that changing that one leaves the test rows."""
    if task.test is None:
        return None, train
    if isinstance(task.test, str):
        return _rows(_read(task, task.test, "test"), classes, "test"), train
    return _split_off(train, task.test, seed + 2, "test")


def _split_off(train: Rows, fraction: float, seed: int, role: str) -> tuple[Rows, Rows]:
    """(what is split off, what is left)."""
    kept, held = stratified_split(train.labels, fraction, seed)
    if not len(held):
        raise InvalidInput(role, f"{fraction} of {len(train)} rows", "a fraction that leaves rows on each side")
    return train.take(held), train.take(kept)


def _sample(rows: Rows, wanted: int | None, seed: int, field: str) -> Rows:
    if wanted is None:
        return rows
    if wanted > len(rows):
        raise InvalidInput(field, wanted, f"at most the {len(rows)} rows there are")
    return rows.take(balanced_sample(rows.labels, wanted, seed))
