"""Read columns of csv, tsv, jsonl and parquet files and of `datasets` folders. Needs pyarrow only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from workers.errors import InvalidInput

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "dev", "val"), "test": ("test",)}


@dataclass(frozen=True)
class Columns:
    """Values by column name, and class names where the file's metadata gives them (Hugging Face `ClassLabel`)."""

    values: dict[str, list[Any]]
    class_names: tuple[str, ...] | None = None


def read_columns(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read the columns `names` (the label column among them) of one file.

    Raises `InvalidInput` for the job field `field` when the file is missing or unreadable, and for the columns that
    it lacks.
    """
    if path.suffix not in SUFFIXES:
        raise InvalidInput(field, str(path), f"files ending in {', '.join(SUFFIXES)}, or a `datasets` folder")
    try:
        if path.suffix in (".jsonl", ".ndjson"):
            return _read_jsonl(path, names, field)
        table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, names, label)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput(field, str(path), "a readable file", f"{field}: cannot read {path}: {error}") from error
    return _pick(table, names, label, path, field)


def find_split(folder: Path, role: str, field: str) -> list[Path]:
    """Files of a split in a folder: `train.csv`, `validation-00000-of-00002.parquet`, `data/test.jsonl`, or the arrow
    files of a data set saved with `save_to_disk`. Empty when the folder has no such split."""
    for name in _SPLIT_NAMES[role]:
        saved = folder / name / "state.json"
        if saved.is_file():
            return _saved_files(saved, field)
        found = [
            path
            for parent in (folder, folder / "data", folder / name)
            for path in sorted(parent.glob(f"{name}*"))
            if path.suffix in SUFFIXES and path.stem.split("-")[0].split(".")[0] == name
        ]
        if found:
            return found
    if role == "train" and (folder / "state.json").is_file():
        return _saved_files(folder / "state.json", field)
    return []


def read_arrow(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read columns of an arrow stream file as `datasets` writes it."""
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_stream(source).read_all()
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(field, str(path), "a readable file", f"{field}: cannot read {path}: {error}") from error
    return _pick(table, names, label, path, field)


def _saved_files(state: Path, field: str) -> list[Path]:
    try:
        entries = json.loads(state.read_text())["_data_files"]
        return [state.parent / entry["filename"] for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(field, str(state), "a folder written by datasets' save_to_disk") from error


def _read_csv(path: Path, names: Sequence[str], label: str) -> pa.Table:
    # Texts stay as written (no "null" → missing, no numbers); only the label's type is inferred.
    kinds = {name: pa.string() for name in names if name != label}
    return pa_csv.read_csv(
        path,
        parse_options=pa_csv.ParseOptions(delimiter="\t" if path.suffix == ".tsv" else ",", newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
    )


def _read_parquet(path: Path) -> pa.Table:
    return pa_parquet.ParquetFile(path).read()


def _read_jsonl(path: Path, names: Sequence[str], field: str) -> Columns:
    values: dict[str, list[Any]] = {name: [] for name in names}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InvalidInput(field, f"{path} line {number}: {error}", "one JSON object per line") from error
            if not isinstance(row, dict):
                raise InvalidInput(field, f"{path} line {number}: {type(row).__name__}", "one JSON object per line")
            _check_columns(list(row), names, path, field)
            for name in names:
                values[name].append(row[name])
    return Columns(values)


def _pick(table: pa.Table, names: Sequence[str], label: str, path: Path, field: str) -> Columns:
    _check_columns(table.column_names, names, path, field)
    values = {name: table.column(name).to_pylist() for name in names}
    return Columns(values, _class_names(table.schema, label))


def _check_columns(present: Sequence[str], wanted: Sequence[str], path: Path, field: str) -> None:
    for name in wanted:
        if name not in present:
            raise InvalidInput(
                field,
                f"{path} without column {name!r}",
                f"the columns {', '.join(present)}",
                f"{field}: {path} has no column {name!r}; it has {', '.join(present)}",
            )


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """Names of a `ClassLabel` column, from the metadata that `datasets` writes into arrow and parquet files."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    feature = json.loads(raw).get("info", {}).get("features", {}).get(label, {})
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(names) if names else None
