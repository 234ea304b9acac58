"""The domain of each row, such as a genre or a customer, as a column names it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from workers.data.columns import Columns, brief
from workers.data.rows import Rows
from workers.errors import InvalidInput
from workers.tasks.section import TaskSection, domain_left_out

MOST_DOMAINS = 50
"""Each is a metric of every report."""


def domain_column(task: TaskSection) -> str | None:
    """The column of the domains, where the job names one."""
    return getattr(task, "domain", None)


def domains_of(task: TaskSection, parts: Sequence[Columns]) -> tuple[str, ...] | None:
    """The domain of each row of a split; None where the job names no column. Raises `InvalidInput` with the row."""
    column = domain_column(task)
    if column is None:
        return None
    return tuple(domain_at(column, part, row) for part in parts for row in range(len(part.numbers)))


def domain_at(column: str, part: Columns, row: int) -> str:
    """The domain of one row. Raises `InvalidInput` with its place."""
    if column not in part.values:  # of images in folders
        raise InvalidInput("domain", f"no column {column!r} in {part.source}", "a table with such a column")
    value = part.values[column][row]
    name = str(value).strip() if isinstance(value, str | int) else ""
    if not name or isinstance(value, bool):
        raise InvalidInput("domain", f"{brief(value)} in {part.place(row, column)}", "a text or a number in every row")
    return name


def check_domains(task: TaskSection, *splits: Rows | None) -> None:
    """Refuse a column of which every value is another, or nearly so."""
    found = {domain for rows in splits if rows is not None for domain in rows.domains or ()}
    if len(found) > MOST_DOMAINS:
        told = f"{len(found)} different values in column {domain_column(task)!r}, as {brief(min(found))}"
        raise InvalidInput("domain", told, f"a column of at most {MOST_DOMAINS} domains")


def without_domain(rows: Rows, source: object) -> Rows:
    """The rows that are not of the domain which a split's source stands for."""
    name = domain_left_out(source)
    return rows if name is None else rows.take(rows.of_domain(name, False))
