"""Judgements in one table: pairs with a grade, pairs that belong together, or a query's positives and negatives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workers.data.columns import Columns, brief
from workers.data.domains import domain_at
from workers.data.judged.gathered import Gathered, Split
from workers.errors import InvalidInput

GRADES = ("label", "grade", "score", "relevance")
"""Columns that hold a grade, where a job does not say."""
_NUMBERED = re.compile(r"negative_?\d+")


def form_of(columns: Sequence[str], names: Mapping[str, str | None], source: str) -> tuple[str, dict[str, str]]:
    """What form a table has, and its columns by what they are. Raises `InvalidInput` for the field `train`.

    Args:
        columns: of the table.
        names: of a job's fields `query`, `document`, `label`, `positive` and `negative`, None where it says nothing.
        source: of the table, for messages.
    """

    def named(field: str, *usual: str) -> str | None:
        wanted = names[field]
        return wanted if wanted is not None else next((one for one in usual if one in columns), None)

    query = named("query", "query", "question", "anchor")
    document = named("document", "document", "passage", "text")
    grade, positive = named("label", *GRADES), named("positive", "positive")
    if query in columns and positive in columns:
        negatives = [one for one in columns if _NUMBERED.fullmatch(one)]
        negative = named("negative", "negative", *negatives[:1])
        found = {"query": query, "positive": positive} | ({} if negative is None else {"negative": negative})
        more = {f"negative {one}": one for one in negatives if one != negative}
        return "triples" if negative else "positives", {name: str(one) for name, one in (found | more).items()}
    if query in columns and document in columns:
        found = {"query": query, "document": document} | ({} if grade is None else {"label": grade})
        return "positives" if grade is None else "pairs", {name: str(one) for name, one in found.items()}
    allowed = (
        "columns query and document (with label or grade, or all of them relevant), columns query, positive and "
        "negative, or a folder with corpus, queries and qrels; `query`, `document`, `label`, `positive` and "
        "`negative` name columns"
    )
    raise InvalidInput("train", f"{source} with the columns {', '.join(columns)}", allowed)


def add_pairs(
    parts: Sequence[Columns], names: Mapping[str, str], all_of: Gathered, split: Split, domain: str | None = None
) -> None:
    """Take in rows of query, document and, where there is one, grade; `domain` is the column of the queries' domains.

    Raises `InvalidInput` naming the row.
    """
    for part in parts:
        for row in range(len(part.numbers)):
            query = text_of(part, row, names["query"], "query")
            document = text_of(part, row, names["document"], "document")
            grade = grade_of(part, row, names["label"], "label") if "label" in names else 1
            number = all_of.document(document, document)
            split.listed |= grade == 0
            asked = split.query(query, query)
            if domain is not None:
                split.belongs(asked, domain_at(domain, part, row), part.place(row, domain))
            other = split.judge(asked, number, grade)
            if other is not None:
                found = f"grades {other} and {grade} for one pair in {part.place(row, names['label'])}"
                raise InvalidInput("label", found, "one grade for each query and document")


def add_triples(
    parts: Sequence[Columns], names: Mapping[str, str], all_of: Gathered, split: Split, domain: str | None = None
) -> None:
    """Take in rows of a query, what answers it, and what does not: a text each, or a list of them; `domain` is the
    column of the queries' domains.

    What one row calls negative and another positive for the same query is relevant.
    """
    split.listed = "negative" in names
    for part in parts:
        for row in range(len(part.numbers)):
            query = text_of(part, row, names["query"], "query")
            number = split.query(query, query)
            if domain is not None:
                split.belongs(number, domain_at(domain, part, row), part.place(row, domain))
            for name, column in names.items():
                if name == "query":
                    continue
                grade = int(name == "positive")
                for text in _texts(part, row, column, name.partition(" ")[0]):
                    document = all_of.document(text, text)
                    split.grades[number][document] = max(grade, split.grades[number].get(document, 0))
                    split.seen.add(document)


def _texts(part: Columns, row: int, column: str, field: str) -> Iterator[str]:
    value = part.values[column][row]
    listed = value if isinstance(value, list) else [value]
    if field == "negative" and value in (None, ""):
        return
    for one in listed:
        if type(one) is not str or not one.strip():
            raise InvalidInput(field, f"{brief(one)} in {part.place(row, column)}", "a text, or a list of texts")
        yield one


def text_of(part: Columns, row: int, column: str, field: str) -> str:
    """A cell that holds a text. Raises `InvalidInput`."""
    value = part.values[column][row]
    if type(value) is not str or not value.strip():
        raise InvalidInput(field, f"{brief(value)} in {part.place(row, column)}", "a text in every row")
    return value


def grade_of(part: Columns, row: int, column: str, field: str) -> int:
    """A cell that holds a grade; what is below 0 (spam, for TREC) is not relevant. Raises `InvalidInput`."""
    value: Any = part.values[column][row]
    written = str(value).strip().removesuffix(".0")
    if value is True or value is False:
        return int(value)
    if not re.fullmatch(r"[+-]?\d{1,6}", written):
        found = f"{brief(value)} in {part.place(row, column)}"
        raise InvalidInput(field, found, "a whole number: 0 where the document is not relevant, more the more it is")
    return max(int(written), 0)
