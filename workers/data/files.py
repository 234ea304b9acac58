"""Read columns of csv, tsv, jsonl, CoNLL and parquet files and of the arrow files of `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workers.data.arrow import read_arrow, read_parquet
from workers.data.columns import Columns
from workers.data.conll import read_conll
from workers.data.delimited import read_csv, read_tsv
from workers.data.jsonl import read_jsonl
from workers.errors import InvalidInput

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".conll")


def read_columns(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read the columns `names` (the label column among them) of one file.

    Raises `InvalidInput` for the job field `field` when the file is missing or unreadable, and for the columns that
    it lacks.
    """
    kind = path.suffix.lower()
    try:
        match kind:
            case ".csv":
                return read_csv(path, names, label, field)
            case ".tsv":
                return read_tsv(path, names, label, field)
            case ".jsonl" | ".ndjson":
                return read_jsonl(path, names, field)
            case ".conll":
                return read_conll(path, names, label, field)
            case ".parquet":
                return read_parquet(path, names, label, field)
            case ".arrow":
                return read_arrow(path, names, label, field)
    except OSError as error:
        raise InvalidInput(field, str(path), "a readable file", f"{field}: cannot read {path}: {error}") from error
    raise InvalidInput(field, str(path), f"files ending in {', '.join(SUFFIXES)}, or a `datasets` folder")
