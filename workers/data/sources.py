"""From a task's `train`, `validation` and `test` to labelled rows. Imports no torch: the API validates with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workers.data.columns import Columns, brief
from workers.data.files import SUFFIXES, read_columns
from workers.data.labels import Labels, check_names, check_repeated, class_indices, read_labels
from workers.data.pydocs import read_pydocs
from workers.data.rows import LabelledData, Rows
from workers.data.split_files import find_split
from workers.data.splits import balanced_sample, stratified_split
from workers.errors import InvalidInput

if TYPE_CHECKING:
    from workers.tasks.catalogue.text_classification import TextClassificationSpec as TaskSpec

DEFAULT_FRACTION = 0.2
HUB_DATA = re.compile(r"hub:(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?")


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

    Without `validation`, a source that has a validation split of its own uses it; otherwise a fifth is split off.
    Raises `InvalidInput` naming the field.
    """
    train = _read(task, task.train, "train")
    classes = train.labels.classes()
    check_names(train.labels)
    splits = {"train": train} | {role: _given(task, role) for role in ("test", "validation")}
    rows = {
        role: Rows(split.texts, split.pairs, class_indices(split.labels, classes, train.labels, role))
        for role, split in splits.items()
        if split is not None
    }
    check_repeated(train.labels, classes, [split.labels for split in rows.values()])
    left, test, validation = rows["train"], rows.get("test"), rows.get("validation")
    # test is split off before validation, so that changing that one leaves the test rows
    if isinstance(task.test, float):
        test, left = _split_off(left, task.test, seed + 2, "test")
    if validation is None:
        fraction = task.validation if isinstance(task.validation, float) else DEFAULT_FRACTION
        validation, left = _split_off(left, fraction, seed, "validation")
    return LabelledData(
        classes,
        _sample(left, task.train_rows, seed, "train_rows"),
        _sample(validation, task.validation_rows, seed + 1, "validation_rows"),
        test,
    )


@dataclass(frozen=True)
class _Split:
    """Texts [rows], second texts of pairs, labels [rows] of one source."""

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    labels: Labels


def _given(task: TaskSpec, role: str) -> _Split | None:
    """The test or validation split that is not split off `train`; None where it is, or where there is none."""
    source = getattr(task, role)
    if isinstance(source, str):
        return _read(task, source, role)
    if role == "validation" and source is None and not _is_one_file(task.train):
        return _read_if_there(task, task.train, role)
    return None


def _is_one_file(source: str) -> bool:
    """Whether a source has no splits of its own, so that every role would read the same rows."""
    return not source.startswith("builtin:") and _located(source, "train").is_file()


def _read(task: TaskSpec, source: str, role: str) -> _Split:
    """Read the split `role` of a source, which must have it."""
    split = _read_if_there(task, source, role)
    if split is None:
        raise InvalidInput(role, source, f"a folder with a `{role}` split (like {role}.csv or {role}-*.parquet)")
    return split


def _read_if_there(task: TaskSpec, source: str, role: str) -> _Split | None:
    """Read the split `role` of a source; None when it is a folder without that split."""
    names = task.text_columns()
    wanted = list(dict.fromkeys([*names, task.label]))
    parts = (
        [_read_builtin(source, wanted, role)]
        if source.startswith("builtin:")
        else _read_files(source, wanted, task.label, role)
    )
    if not parts:
        return None
    if not any(len(part.numbers) for part in parts):
        raise InvalidInput(role, f"no rows in {source}", "at least one row")
    texts, *pairs = (tuple(text for part in parts for text in _texts(part, name, role)) for name in names)
    return _Split(texts, pairs[0] if pairs else None, read_labels(parts, task.label))


def _read_builtin(source: str, wanted: list[str], role: str) -> Columns:
    if source != "builtin:pydocs":
        raise InvalidInput(role, source, ["builtin:pydocs"])
    values = read_pydocs(role)
    missing = next((name for name in wanted if name not in values), None)
    if missing is not None:
        raise InvalidInput(role, f"column {missing!r} of {source}", values)
    return Columns(source, values, range(1, len(values["text"]) + 1), "row", typed=True)


def _read_files(source: str, wanted: list[str], label: str, role: str) -> list[Columns]:
    path = _located(source, role)
    if not path.exists():
        raise InvalidInput(role, source, "an existing file or folder", f"{role}: no such file or folder: {source}")
    files = find_split(path, role, role) if path.is_dir() else [path]
    return [read_columns(file, wanted, label, role) for file in files]


def _located(source: str, role: str) -> Path:
    return _fetch(source, role) if source.startswith("hub:") else Path(source).expanduser()


def _fetch(source: str, role: str) -> Path:
    match = HUB_DATA.fullmatch(source)
    if match is None:
        raise InvalidInput(role, source, "hub:owner/name, hub:owner/name/config, each with an optional @revision")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [f"*{suffix}" for suffix in SUFFIXES]
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


def _texts(columns: Columns, name: str, role: str) -> list[str]:
    values = columns.values[name]
    for row, value in enumerate(values):
        if type(value) is not str:  # a WrittenNumber is none
            raise InvalidInput(role, f"{brief(value)} in {columns.place(row, name)}", "text in every row")
    return values


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
