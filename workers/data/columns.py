"""The columns of one file that a task uses, and where in the file each row stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any, Literal

from workers.data.encoding import kind_of
from workers.errors import InvalidInput

_BRIEF = Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80  # characters


def brief(value: object) -> str:
    """A value for a message: what stands in a cell can be a whole book."""
    return _BRIEF.repr(value)


class WrittenNumber(str):
    """A number with a fraction, as the file writes it: `1.50` stays `1.50`."""


@dataclass(frozen=True)
class Columns:
    """Values by column name, each `[rows]`.

    Attributes:
        source: file, or built-in data set.
        values: texts and labels as the file has them; missing ones are None (an empty cell of a csv is an empty text).
        numbers: of each row, as people count them: the line where it begins, or its row.
        unit: what `numbers` counts.
        typed: whether the file tells numbers from texts, which csv and tsv do not.
        class_names: names of a Hugging Face `ClassLabel` column, whose values are indices into them.
    """

    source: Path | str
    values: dict[str, list[Any]]
    numbers: Sequence[int]
    unit: Literal["line", "row"]
    typed: bool
    class_names: tuple[str, ...] | None = None

    def place(self, row: int, column: str) -> str:
        """`column 'text', line 7 of train.csv` for a row counted from zero."""
        return f"column {column!r}, {self.unit} {self.numbers[row]} of {self.source}"


def check_columns(present: Sequence[str], wanted: Sequence[str], path: Path, field: str, where: str = "") -> None:
    """Refuse a table that lacks a column the task uses, or has it twice. `where` names the line of a JSON object."""
    named = f"{where}{path}"
    for name in wanted:
        if name not in present:
            shown = ", ".join(name if name and name == name.strip() else repr(name) for name in present) or "no columns"
            hint = _other_separator(present, path)
            message = f"{field}: {named} has no column {name!r}; it has {shown}{hint}"
            raise InvalidInput(field, f"{named} without column {name!r}", f"the columns {shown}", message)
        if present.count(name) > 1:
            message = f"{field}: {named} has the column {name!r} {present.count(name)} times; rename all but one"
            raise InvalidInput(field, f"{named} with column {name!r} twice", "one column of each name", message)


def _other_separator(present: Sequence[str], path: Path) -> str:
    """What to say of a header that is one cell because another character separates its columns."""
    written = {";": "semicolons", "\t": "tabs", ",": "commas"}
    if len(present) != 1:
        return ""
    found = next((word for character, word in written.items() if character in present[0]), None)
    expected = "tabs" if kind_of(path) == ".tsv" else "commas"
    return "" if found is None else f" (separated by {found}; a {kind_of(path)} file needs {expected})"
