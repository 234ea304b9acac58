"""Read a JSON file that holds one array of objects, each with the columns that the task uses, or SQuAD's form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workers.data.columns import Columns
from workers.data.encoding import open_text
from workers.data.jsonl import DECODER, check_object
from workers.errors import InvalidInput


def read_json(path: Path, names: Sequence[str], field: str) -> Columns:
    """Read columns of a file. Raises `InvalidInput` naming the row."""
    rows = json_objects(path, field)
    for number, row in enumerate(rows, start=1):
        check_object(row, names, f"row {number} of ", path, field)
    return Columns(path, {name: [row[name] for row in rows] for name in names}, range(1, len(rows) + 1), "row", True)


def json_objects(path: Path, field: str) -> list[dict[str, Any]]:
    """The objects of the array in a file."""
    allowed = "one array of objects in a .json file, or one object per line in a .jsonl file"
    with open_text(path, field) as file:
        try:
            found = DECODER.decode(file.read())
        except (ValueError, RecursionError) as error:
            raise InvalidInput(field, f"{path}: {error}", allowed) from error
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        return list(_questions(found["data"], path, field))
    if not isinstance(found, list):
        raise InvalidInput(field, f"{path}: {type(found).__name__}", allowed)
    for number, row in enumerate(found, start=1):
        if not isinstance(row, dict):
            raise InvalidInput(field, f"row {number} of {path}: {type(row).__name__}", allowed)
    return found


def _questions(articles: list[Any], path: Path, field: str) -> Iterator[dict[str, Any]]:
    """SQuAD's articles of paragraphs of questions as one row for each question."""
    allowed = "SQuAD's form: data, a list of {title, paragraphs: [{context, qas: [{question, answers}]}]}"
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    answers = [] if question.get("is_impossible") else question.get("answers")
                    above = {"title": article.get("title"), "context": paragraph["context"]}
                    yield above | question | {"answers": answers}
    except (LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(field, f"{path}: {error!r}", allowed) from error
