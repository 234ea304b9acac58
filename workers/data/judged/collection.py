"""Judgements beside a corpus and queries in files of their own, as BEIR and TREC keep them. Imports no torch.

`corpus.jsonl` (`_id`, `text`, and `title` where documents have one), `queries.jsonl` (`_id`, `text`) and the judgements
of each split: `qrels/train.tsv`, `qrels.train.tsv`, …, with a header (`query-id`, `corpus-id`, `score`) or as TREC
writes them (`query 0 document grade`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workers.data.columns import Columns, brief
from workers.data.domains import domain_at
from workers.data.encoding import kind_of, open_text
from workers.data.files import SUFFIXES, column_names, read_columns
from workers.data.judged.gathered import Gathered, Split
from workers.data.judged.tables import grade_of
from workers.errors import InvalidInput

_IDS = ("_id", "id", "doc_id", "docid", "document_id", "query_id", "qid", "query-id", "corpus-id")
_TEXTS = ("text", "document", "contents", "passage", "query", "question")
_QUERY = ("query-id", "query_id", "qid", "query")
_DOCUMENT = ("corpus-id", "corpus_id", "doc_id", "docid", "document_id", "pid", "document")
_GRADE = ("score", "grade", "relevance", "label", "rel")
_SPLITS = {"train": ("train",), "validation": ("validation", "dev", "valid", "val"), "test": ("test",)}
_PLAIN = (".tsv", ".txt", ".qrels", ".trec", ".qrel")


@dataclass(frozen=True)
class Collection:
    """A folder with a corpus, queries and judgements. `field` is that of the job which names it."""

    folder: Path
    field: str

    @classmethod
    def at(cls, path: Path, field: str) -> Collection | None:
        """The collection in a folder; None where it is none."""
        found = cls(path, field)
        return found if path.is_dir() and found._file("corpus") and found._file("queries") else None

    def has(self, role: str) -> bool:
        """Whether there are judgements of a split."""
        return self._judgements(role) is not None

    def add(self, role: str, all_of: Gathered, split: Split, drop: bool, domain: str | None = None) -> None:
        """Take in the corpus and the judgements of a split; `domain` is the column of the queries' domains.

        Raises `InvalidInput` for a judgement of a query or a document that is not there, unless to `drop` these.
        """
        path = self._judgements(role)
        if path is None:
            names = " or ".join(f"qrels/{name}.tsv" for name in _SPLITS[role])
            raise InvalidInput(self.field, str(self.folder), f"a folder with judgements of that split, as {names}")
        documents = self.corpus
        place = str(self.folder.resolve())
        for name, text in documents.items():
            split.seen.add(all_of.document((place, name), text))
        for query, document, grade, where in _judged(path, self.field):
            if query not in self.queries or document not in documents:
                if drop:
                    continue
                lacking = f"the query {query!r}" if query not in self.queries else f"the document {document!r}"
                raise InvalidInput(
                    self.field, f"{lacking} in {where}, of which {self.folder} has no text",
                    "judgements of queries and documents that are there (`unusable: drop` leaves others out)",
                )  # fmt: skip
            number = all_of.document((place, document), documents[document])
            asked = split.query((place, query), self.queries[query])
            if domain is not None:
                split.belongs(asked, self.domains(domain)[query], where)
            other = split.judge(asked, number, grade)
            if other is not None:
                found = f"grades {other} and {grade} for one pair, in {where}"
                raise InvalidInput(self.field, found, "one grade for each query and document")

    @cached_property
    def corpus(self) -> Mapping[str, str]:
        """Texts of documents by their names; an empty document stays one."""
        return _named_texts(self._found("corpus"), self.field, empty=True)

    @cached_property
    def queries(self) -> Mapping[str, str]:
        """Texts of queries by their names."""
        return _named_texts(self._found("queries"), self.field, empty=False)

    def domains(self, column: str) -> Mapping[str, str]:
        """Domains of queries by their names, as a column of their file has them."""
        if column not in self._domains:
            path = self._found("queries")
            present = column_names(path, "domain")
            name = _one_of(present, _IDS, path, self.field, "names")
            part = read_columns(path, [name, *([column] if column in present else [])], name, "domain")
            rows = range(len(part.numbers))
            self._domains[column] = {_name(part, row, name, self.field): domain_at(column, part, row) for row in rows}
        return self._domains[column]

    @cached_property
    def _domains(self) -> dict[str, dict[str, str]]:
        return {}

    def _found(self, name: str) -> Path:
        found = self._file(name)
        assert found is not None, "only folders with both are collections"
        return found

    def _file(self, name: str) -> Path | None:
        return next((path for path in self._files(self.folder) if path.name.split(".")[0].lower() == name), None)

    def _judgements(self, role: str) -> Path | None:
        wanted = [f"qrels.{name}" for name in _SPLITS[role]], [*_SPLITS[role]]
        for folder, names in ((self.folder, wanted[0]), (self.folder / "qrels", wanted[1] + wanted[0])):
            for path in self._files(folder):
                if any(path.name.lower().startswith(f"{name}.") for name in names):
                    return path
        return None

    def _files(self, folder: Path) -> list[Path]:
        kinds = {*SUFFIXES, *_PLAIN}
        return sorted(path for path in folder.iterdir() if kind_of(path) in kinds) if folder.is_dir() else []


def _named_texts(path: Path, field: str, empty: bool) -> dict[str, str]:
    """Texts of a file by the names of its rows; a title stands in front of its document."""
    present = column_names(path, field)
    name, text = _one_of(present, _IDS, path, field, "names"), _one_of(present, _TEXTS, path, field, "texts")
    wanted = [name, text, *(["title"] if "title" in present else [])]
    part = read_columns(path, wanted, name, field)
    found: dict[str, str] = {}
    for row in range(len(part.numbers)):
        key = _name(part, row, name, field)
        pieces = [part.values[column][row] or "" for column in reversed(wanted[1:])]
        if any(type(one) is not str for one in pieces) or not (empty or pieces[-1].strip()):
            value = brief(part.values[text][row])
            raise InvalidInput(field, f"{value} in {part.place(row, text)}", "a text in every row")
        if key in found:
            raise InvalidInput(field, f"{key!r} again in {part.place(row, name)}", "each name once")
        found[key] = " ".join(piece for piece in pieces if piece.strip())
    return found


def _name(part: Columns, row: int, column: str, field: str) -> str:
    value: Any = part.values[column][row]
    if value is None or isinstance(value, bool | list | dict) or not str(value).strip():
        raise InvalidInput(field, f"{brief(value)} in {part.place(row, column)}", "a name in every row")
    return str(value).strip()


def _one_of(present: list[str], usual: tuple[str, ...], path: Path, field: str, what: str) -> str:
    found = next((one for one in usual if one in present), None)
    if found is None:
        allowed = f"{what} in a column {', '.join(usual)}"
        raise InvalidInput(field, f"{path} with the columns {', '.join(present)}", allowed)
    return found


def _judged(path: Path, field: str) -> Iterator[tuple[str, str, int, str]]:
    """Query, document, grade and place of every judgement of a file."""
    if kind_of(path) in _PLAIN and not _has_header(path, field):
        yield from _plainly_judged(path, field)
        return
    present = column_names(path, field)
    query, document, grade = (
        _one_of(present, usual, path, field, what)
        for usual, what in ((_QUERY, "queries"), (_DOCUMENT, "documents"), (_GRADE, "grades"))
    )
    part = read_columns(path, [query, document, grade], grade, field)
    for row in range(len(part.numbers)):
        value = grade_of(part, row, grade, field)
        yield _name(part, row, query, field), _name(part, row, document, field), value, part.place(row, document)


def _has_header(path: Path, field: str) -> bool:
    """Whether the first line of a plain file names columns."""
    with open_text(path, field) as file:
        first = next((line.split() for line in file if line.strip()), [])
    return any(one.lower() in (*_QUERY, *_DOCUMENT) for one in first)


def _plainly_judged(path: Path, field: str) -> Iterator[tuple[str, str, int, str]]:
    """Lines of `query 0 document grade` as TREC has them, or without the 0."""
    with open_text(path, field) as file:
        for number, line in enumerate(file, start=1):
            cells = line.split()
            if not cells:
                continue
            where = f"line {number} of {path}"
            if len(cells) not in (3, 4) or not cells[-1].lstrip("+-").isdigit():
                raise InvalidInput(field, f"{brief(line.rstrip())} in {where}", "query, 0, document and grade")
            yield cells[0], cells[-2], max(int(cells[-1]), 0), where
