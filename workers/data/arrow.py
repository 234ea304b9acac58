"""Read parquet files and the arrow files of `datasets`. Needs pyarrow only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from workers.data.columns import Columns, WrittenNumber, check_columns
from workers.errors import InvalidInput


def read_parquet(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read columns of a parquet file."""
    try:
        with pa_parquet.ParquetFile(path) as file:
            check_columns(file.schema_arrow.names, names, path, field)
            return _columns(file.read(list(names)), names, label, path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, field, error) from error


def read_arrow(path: Path, names: Sequence[str], label: str, field: str) -> Columns:
    """Read columns of an arrow stream file as `datasets` writes it."""
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_stream(source).read_all()
            check_columns(table.column_names, names, path, field)
            return _columns(table, names, label, path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, field, error) from error


def schema_names(path: Path, field: str) -> list[str]:
    """The columns of a parquet file, or of an arrow stream file."""
    try:
        if path.suffix.lower() == ".parquet":
            return list(pa_parquet.read_schema(path).names)
        with pa.memory_map(str(path)) as source:
            return list(pa.ipc.open_stream(source).schema.names)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, field, error) from error


def _unreadable(path: Path, field: str, error: Exception) -> InvalidInput:
    return InvalidInput(field, str(path), "a readable file", f"{field}: cannot read {path}: {error}")


def _columns(table: pa.Table, names: Sequence[str], label: str, path: Path) -> Columns:
    values = {name: _values(table.column(name)) for name in names}
    rows = range(1, len(table) + 1)
    return Columns(path, values, rows, "row", typed=True, class_names=_class_names(table.schema, label))


def _values(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):  # pandas' categories
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(
        kind
    ):  # arrow writes the shortest digits that tell a 32-bit number, Python those of 64 bits
        return [None if text in (None, "nan") else WrittenNumber(text) for text in column.cast(pa.string()).to_pylist()]
    return column.to_pylist()  # type: ignore[no-any-return]


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """Names of a `ClassLabel` column, from the metadata that `datasets` writes into arrow and parquet files."""
    try:
        written = json.loads((schema.metadata or {})[b"huggingface"])
        feature = written["info"]["features"][label]
        if isinstance(feature, list) or "feature" in feature:  # of a list of such, by older and newer versions
            feature = feature[0] if isinstance(feature, list) else feature["feature"]
        names = feature["names"]
    except (LookupError, ValueError, TypeError):
        return None
    kind = schema.field(label).type
    if not names or not pa.types.is_integer(kind.value_type if pa.types.is_list(kind) else kind):
        return None
    return tuple(map(str, names))
