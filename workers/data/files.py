"""Read columns of csv, tsv, json, jsonl, CoNLL and parquet files and of the arrow files of `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workers.data.arrow import read_arrow, read_parquet, schema_names
from workers.data.columns import Columns
from workers.data.conll import read_conll
from workers.data.delimited import header_of, read_csv, read_tsv
from workers.data.encoding import kind_of
from workers.data.json_array import json_objects, read_json
from workers.data.jsonl import first_columns, read_jsonl
from workers.errors import InvalidInput

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".conll")


def read_columns(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read the columns `names` (the label column among them) of one file.

    Raises `InvalidInput` for the job field `field` when the file is missing or unreadable, and for the columns that
    it lacks.
    """
    kind = kind_of(path)
    try:
        match kind:
            case ".csv":
                return read_csv(path, names, label, field)
            case ".tsv":
                return read_tsv(path, names, label, field)
            case ".jsonl" | ".ndjson":
                return read_jsonl(path, names, field)
            case ".json":
                return read_json(path, names, field)
            case ".conll":
                return read_conll(path, names, label, field)
            case ".parquet":
                return read_parquet(path, names, label, field)
            case ".arrow":
                return read_arrow(path, names, label, field)
    except OSError as error:
        raise _unreadable(path, field, error) from error
    raise _unknown(path, field)


def column_names(path: Path, field: str) -> list[str]:
    """The columns that a file has; of rows that are objects, those of the first. Raises `InvalidInput`."""
    kind = kind_of(path)
    try:
        match kind:
            case ".csv" | ".tsv":
                return header_of(path, field)
            case ".jsonl" | ".ndjson":
                return first_columns(path, field)
            case ".json":
                return list(next(iter(json_objects(path, field)), {}))
            case ".conll":
                return ["tokens", "tags"]
            case ".parquet" | ".arrow":
                return schema_names(path, field)
    except OSError as error:
        raise _unreadable(path, field, error) from error
    raise _unknown(path, field)


def _unreadable(path: Path, field: str, error: OSError) -> InvalidInput:
    return InvalidInput(field, str(path), "a readable file", f"{field}: cannot read {path}: {error}")


def _unknown(path: Path, field: str) -> InvalidInput:
    return InvalidInput(
        field, str(path), f"files ending in {', '.join(SUFFIXES)}, text also with .gz, or a `datasets` folder"
    )
