"""From a task's `train`, `validation` and `test` to columns, and from rows to splits. No torch: the API validates with
it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.data.columns import Columns, brief
from workers.data.commands import read_commands
from workers.data.digits import read_digits
from workers.data.domains import check_domains, domain_column, without_domain
from workers.data.files import SUFFIXES, column_names, read_columns
from workers.data.pycode import read_pycode
from workers.data.pydocs import read_pydocs
from workers.data.pyprefs import read_pyprefs
from workers.data.pyqa import read_pyqa
from workers.data.pysearch import read_pysearch
from workers.data.pysft import read_pysft
from workers.data.pytokens import read_pytokens
from workers.data.rows import Rows, TaskData
from workers.data.split_files import SPLIT_NAMES, find_split
from workers.data.splits import balanced_sample, stratified_split
from workers.errors import InvalidInput
from workers.tasks.section import TaskSection, domain_left_out

DEFAULT_FRACTION = 0.2
BUILTIN = {
    "builtin:commands": read_commands,
    "builtin:digits": read_digits,
    "builtin:pycode": read_pycode,
    "builtin:pydocs": read_pydocs,
    "builtin:pyprefs": read_pyprefs,
    "builtin:pyqa": read_pyqa,
    "builtin:pysearch": read_pysearch,
    "builtin:pysft": read_pysft,
    "builtin:pytokens": read_pytokens,
}
Folders = Callable[[Path, str, str, str, Sequence[str], bool], list[Columns]]
"""From a folder, names of its two columns, a role, the folders that a split of it may be in, and whether the whole
folder may be that split, to its rows: none where it is no such folder."""
Strata = Callable[[Rows], NDArray[np.integer]]
HUB_DATA = re.compile(r"hub:(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?:@(?P<revision>[\w./-]+))?")


def read_splits(
    task: TaskSection, texts: Sequence[str], label: str, folders: Folders | None = None
) -> dict[str, list[Columns]]:
    """The columns `texts` and `label` of the splits that a task's sources have, by role: `train`, `test`, `validation`,
    and that of domains where the job names one.

    A split lies in one or more parts. Without `validation`, a source that has a validation split of its own uses it.
    What is missing is to be split off `train`, see `divided`. `folders` reads those without tables.

    Raises `InvalidInput` naming the field.
    """
    domain = domain_column(task)
    wanted = list(dict.fromkeys([*texts, label, *([] if domain is None else [domain])]))
    found = {"train": _read(task.train, "train", wanted, label, folders)}
    for role in ("test", "validation"):
        source = getattr(task, role)
        if isinstance(source, str) and domain_left_out(source) is None:
            found[role] = _read(source, role, wanted, label, folders)
    if task.validation is None and not _is_one_file(task.train):
        own = _read_if_there(task.train, "validation", wanted, label, folders, whole=False)
        found |= {"validation": own} if own else {}
    return found


def read_beside(source: str, role: str, texts: Sequence[str], label: str | None = None) -> list[Columns]:
    """The columns `texts`, and `label` where there is one, of a source beside the splits: a file, of a folder its split
    of the name of `role` or else its training rows, of a built-in set these. Raises `InvalidInput` for the job field
    `role`."""
    wanted = list(dict.fromkeys([*texts, *(() if label is None else (label,))]))
    if source.startswith("builtin:"):
        return [_columns_of_builtin(source, _builtin(source, role)("train"), wanted, role)]
    path = located(source, role)
    own = not path.is_dir() or bool(find_split(path, role, role))
    files = _files(source, role) if own else find_split(path, "train", role)
    return _with_rows([read_columns(file, wanted, label or wanted[0], role) for file in files], source, role)


def columns_of(source: str, role: str) -> list[str]:
    """The columns of a source's split, by its first file. Raises `InvalidInput` for the job field `role`."""
    if source.startswith("builtin:"):
        return list(_builtin(source, role)(role))
    files = _files(source, role)
    return column_names(files[0], role) if files else []


def texts_of(parts: Sequence[Columns], name: str, role: str) -> tuple[str, ...]:
    """A column of texts [rows]. Raises `InvalidInput` for the job field `role` where a row has something else."""
    return tuple(text for part in parts for text in _texts(part, name, role))


def divided(
    task: TaskSection,
    seed: int,
    labels: tuple[str, ...],
    rows: Mapping[str, Rows],
    strata: Strata,
    groups: Strata | None = None,
) -> TaskData:
    """Split off and sample with `seed`, the job's, the same for all of its trials.

    Args:
        labels: names of the model's outputs.
        rows: the splits that were read, by role.
        strata: a number [rows] of each row; equal ones are divided and sampled evenly.
        groups: a number [rows] of each row; of equal ones all are split off, or none. Strata do not count then.
    """
    left, test, validation = rows["train"], rows.get("test"), rows.get("validation")
    check_domains(task, left, test, validation)
    every = left
    if (name := domain_left_out(task.test)) is not None:
        test = _domain(every, name, "test")
        validation = None if validation is None else without_domain(validation, task.test)
    if (name := domain_left_out(task.validation)) is not None:
        validation = _domain(every, name, "validation")
        test = None if test is None else without_domain(test, task.validation)
    left = without_domain(without_domain(left, task.test), task.validation)
    # test is split off before validation, so that changing that one leaves the test rows
    if isinstance(task.test, float):
        test, left = _split_off(left, task.test, strata, groups, seed + 2, "test")
    if validation is None:
        fraction = task.validation if isinstance(task.validation, float) else DEFAULT_FRACTION
        validation, left = _split_off(left, fraction, strata, groups, seed, "validation")
    return TaskData(
        labels,
        _sample(left, task.train_rows, strata, seed, "train_rows"),
        _sample(validation, task.validation_rows, strata, seed + 1, "validation_rows"),
        test,
    )


def _is_one_file(source: str) -> bool:
    """Whether a source has no splits of its own, so that every role would read the same rows."""
    return not source.startswith("builtin:") and located(source, "train").is_file()


def _read(source: str, role: str, wanted: list[str], label: str, folders: Folders | None) -> list[Columns]:
    """Read the split `role` of a source, which must have it."""
    parts = _read_if_there(source, role, wanted, label, folders)
    if not parts:
        more = "" if folders is None else ", or with a folder for each class"
        allowed = f"a folder with a `{role}` split (like {role}.csv or {role}-*.parquet){more}"
        raise InvalidInput(role, source, allowed)
    return parts


def _read_if_there(
    source: str, role: str, wanted: list[str], label: str, folders: Folders | None, whole: bool = True
) -> list[Columns]:
    """Read the split `role` of a source; nothing when it is a folder without that split, or not the `whole` of one."""
    parts = (
        [_read_builtin(source, wanted, role)]
        if source.startswith("builtin:")
        else _read_files(source, wanted, label, role)
    )
    if not parts and folders is not None:
        parts = folders(located(source, role), wanted[0], label, role, SPLIT_NAMES[role], whole)
    return _with_rows(parts, source, role) if parts else []


def _with_rows(parts: list[Columns], source: str, role: str) -> list[Columns]:
    if not any(len(part.numbers) for part in parts):
        raise InvalidInput(role, f"no rows in {source}", "at least one row")
    return parts


def _read_builtin(source: str, wanted: list[str], role: str) -> Columns:
    return _columns_of_builtin(source, _builtin(source, role)(role), wanted, role)


def _columns_of_builtin(source: str, values: dict[str, list[Any]], wanted: list[str], role: str) -> Columns:
    missing = next((name for name in wanted if name not in values), None)
    if missing is not None:
        raise InvalidInput(role, f"column {missing!r} of {source}", values)
    return Columns(source, values, range(1, len(values[wanted[0]]) + 1), "row", typed=True)


def _builtin(source: str, role: str) -> Callable[[str], dict[str, list[Any]]]:
    if source not in BUILTIN:
        raise InvalidInput(role, source, list(BUILTIN))
    return BUILTIN[source]


def _read_files(source: str, wanted: list[str], label: str, role: str) -> list[Columns]:
    return [read_columns(file, wanted, label, role) for file in _files(source, role)]


def _files(source: str, role: str) -> list[Path]:
    """The files of a split; none in a folder without it."""
    path = located(source, role)
    if not path.exists():
        raise InvalidInput(role, source, "an existing file or folder", f"{role}: no such file or folder: {source}")
    return find_split(path, role, role) if path.is_dir() else [path]


def located(source: str, role: str) -> Path:
    """Where a source that is not built in lies; what is on the hub is fetched. Raises `InvalidInput`."""
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


def _split_off(
    train: Rows, fraction: float, strata: Strata, groups: Strata | None, seed: int, role: str
) -> tuple[Rows, Rows]:
    """(what is split off, what is left)."""
    if groups is None:
        kept, held = stratified_split(strata(train), fraction, seed)
    else:
        names, group = np.unique(groups(train), return_inverse=True)
        _, chosen = stratified_split(np.zeros(len(names), dtype=np.int64), fraction, seed)
        off = np.isin(group, chosen)
        kept, held = np.flatnonzero(~off), np.flatnonzero(off)
    if not len(held):
        raise InvalidInput(role, f"{fraction} of {len(train)} rows", "a fraction that leaves rows on each side")
    return train.take(held), train.take(kept)


def _domain(rows: Rows, name: str, role: str) -> Rows:
    found = rows.take(rows.of_domain(name))
    if not 0 < len(found) < len(rows):
        known = ", ".join(sorted(set(rows.domains or ())))
        raise InvalidInput(role, f"domain:{name}", f"one of several domains of train, which are {known}")
    return found


def _sample(rows: Rows, wanted: int | None, strata: Strata, seed: int, field: str) -> Rows:
    if wanted is None:
        return rows
    if wanted > len(rows):
        raise InvalidInput(field, wanted, f"at most the {len(rows)} rows there are")
    return rows.take(balanced_sample(strata(rows), wanted, seed))
