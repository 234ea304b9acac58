"""Where data derived from a task's sources is kept between trials, and what is built in, of the running Python."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet


def cache_folder() -> Path:
    """`PEFTSEARCH_CACHE`, or `peftsearch` in the user's cache folder. Everything in it can be deleted at any time."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "peftsearch"
    return Path(os.environ.get("PEFTSEARCH_CACHE", default))


def table_of_this_python(name: str, build: Callable[[], pa.Table]) -> pa.Table:
    """What `build` makes of the standard library, kept for this version of Python. `name` has the format's number."""
    python = f"{platform.python_implementation().lower()}-{platform.python_version()}"
    return _kept(cache_folder() / f"{name}-{python}.parquet", build)


@cache
def _kept(path: Path, build: Callable[[], pa.Table]) -> pa.Table:
    if not path.is_file():
        _write(build(), path)
    return pa_parquet.ParquetFile(path).read()


def _write(table: pa.Table, path: Path) -> None:
    """Write under another name first: several workers may build the table at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        pa_parquet.write_table(table, file.name)
    os.replace(file.name, path)
