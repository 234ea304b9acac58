"""From rows as people keep them to the text that a language model reads, in pieces that it learns or only reads.

A row becomes a tuple of pieces and an array `[pieces]` of 1 where the piece is learnt. A first piece that is empty
stands for the tokens that the tokenizer puts in front of plain texts; what a chat template writes has them already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from workers.data.chat.answers import answer_spans
from workers.data.chat.forms import ALPACA, DIALOGUE, PAIR, SHAREGPT, TEXT, Form, alpaca_prompt
from workers.data.chat.template import ChatTemplate, RefusedError
from workers.data.chat.turns import Messages, fitted, messages_of, tools_of
from workers.data.columns import Columns, brief
from workers.data.domains import domain_at
from workers.data.rows import Rows
from workers.errors import InvalidInput

Written = tuple[tuple[str, ...], tuple[int, ...]]
"""Pieces, and whether each is learnt."""
_CHUNK = 1024


@dataclass(frozen=True)
class Writer:
    """Writes the rows of one job.

    Attributes:
        names: the columns of the form, by the name that the form has for them.
        template: None where the model has none.
        end: the token that ends a text; empty where the tokenizer has none.
        ends: all special tokens.
        answers_only: whether prompts and what users say are read only.
        drop_overlong: leave out rows of which `max_length` tokens hold nothing to learn, instead of refusing them.
        tokenizer: to see what `max_length` tokens leave of a row; None where only transformers can read it.
    """

    form: Form
    names: Mapping[str, str]
    template: ChatTemplate | None
    end: str
    ends: tuple[str, ...]
    answers_only: bool
    max_length: int
    drop_overlong: bool
    tokenizer: Tokenizer | None

    def rows(self, parts: Sequence[Columns], tests: str | None = None, domain: str | None = None) -> Rows:
        """The rows of one split, with the programs of the column `tests` as their pairs, and their domains of another.

        Raises `InvalidInput`.
        """
        written: list[Written] = []
        places: list[tuple[Columns, int]] = []
        for part in parts:
            for row in range(len(part.numbers)):
                written.append(self._row(part, row))
                places.append((part, row))
        if overlong := self._overlong(["".join(pieces[: learnt.index(1)]) for pieces, learnt in written]):
            if not self.drop_overlong or len(overlong) == len(written):
                row, tokens = next(iter(overlong.items()))
                raise self._too_long(tokens, *places[row])
            written = [one for row, one in enumerate(written) if row not in overlong]
            places = [one for row, one in enumerate(places) if row not in overlong]
        flags = np.empty(len(written), dtype=object)
        flags[:] = [np.array(learnt, dtype=np.int32) for _, learnt in written]
        programs = None if tests is None else tuple(_program(*place, tests) for place in places)
        domains = None if domain is None else tuple(domain_at(domain, *place) for place in places)
        return Rows(tuple(pieces for pieces, _ in written), programs, flags, domains=domains)

    def _row(self, part: Columns, row: int) -> Written:
        cell = {name: part.values[column][row] for name, column in self.names.items()}
        column = self.form.columns[0]
        try:
            return self._written(cell)
        except _FoundError as error:
            place = part.place(row, self.names[error.column])
            raise InvalidInput(error.field, f"{error.found} in {place}", error.allowed) from None
        except RefusedError as error:
            place = part.place(row, self.names[column])
            message = f"{_field(self.form)}: {place}: the chat template refuses the conversation: {error}"
            raise InvalidInput(_field(self.form), place, "a conversation that the template takes", message) from error

    def _written(self, cell: Mapping[str, Any]) -> Written:
        if self.form is TEXT:
            return ("", self._ended(_text(cell, "text"))), (0, 1)
        if self.form is PAIR and not isinstance(cell["prompt"], list):
            return self._pair(_text(cell, "prompt", empty=True), _text(cell, "completion"))
        if self.form is ALPACA:
            return self._alpaca(cell)
        if self.form is PAIR:
            prompt = _cell(messages_of, cell, "prompt")
            return self._conversation([*prompt, *_cell(messages_of, cell, "completion")], (), len(prompt))
        name = self.form.columns[0]
        messages, tools = _cell(messages_of, cell, name), _cell(tools_of, cell, "tools")
        if cell.get("system"):
            messages = [{"role": "system", "content": _text(cell, "system")}, *messages]
        return self._conversation(messages, tools, 0)

    def _pair(self, prompt: str, completion: str) -> Written:
        return ("", prompt, self._ended(completion)), (0, 0 if self.answers_only else 1, 1)

    def _alpaca(self, cell: Mapping[str, Any]) -> Written:
        instruction, answer = _text(cell, "instruction"), _text(cell, "output")
        given = _text(cell, "input", empty=True) if cell.get("input") else ""
        if self.template is None:
            return self._pair(alpaca_prompt(instruction, given), answer)
        asked = "\n\n".join(part for part in (instruction, given) if part)
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
        system = [{"role": "system", "content": _text(cell, "system")}] if cell.get("system") else []
        return self._conversation([*system, *turns], (), 0)

    def _conversation(self, messages: Messages, tools: Sequence[Any], first: int) -> Written:
        name = self.form.columns[0]
        if self.template is None:
            raise InvalidInput(
                "chat_template_path",
                "a model without a chat template, and conversations to learn from",
                "a model that has one, or a file with a Jinja template",
            )
        if not any(one["role"] == "assistant" for one in messages[first:]):
            raise _FoundError(name, "no turn of the assistant", "an answer in every conversation", _field(self.form))
        fit, own = fitted(self.template, messages, tools)
        first = max(0, first + len(fit) - len(messages)) if first else 0
        if not self.answers_only:
            return (self.template.render(fit, own).text,), (1,)
        text, spans = answer_spans(self.template, fit, own, first, self.ends)
        pieces, learnt, at = [], [], 0
        for start, end in spans:
            pieces += [text[at:start], text[start:end]]
            learnt += [0, 1]
            at = end
        return (*pieces, *([text[at:]] if at < len(text) else [])), (*learnt, *([0] if at < len(text) else []))

    def _ended(self, text: str) -> str:
        return text if self.end and text.endswith(self.end) else text + self.end

    def _overlong(self, before: Sequence[str]) -> dict[int, int]:
        """How many tokens stand `before` what is learnt, in rows where `max_length` are no more than these."""
        if self.tokenizer is None:
            return {}
        # A token has at least one byte, so most rows need not be looked at.
        doubtful = [row for row, text in enumerate(before) if len(text.encode(errors="replace")) >= self.max_length]
        found: dict[int, int] = {}
        for start in range(0, len(doubtful), _CHUNK):
            some = doubtful[start : start + _CHUNK]
            encoded = self.tokenizer.encode_batch([before[row] for row in some], add_special_tokens=False)
            lengths = (len(one.ids) for one in encoded)
            found |= {row: length for row, length in zip(some, lengths, strict=True) if length >= self.max_length}
        return found

    def _too_long(self, tokens: int, part: Columns, row: int) -> InvalidInput:
        found = f"{tokens} tokens before the answer in {part.place(row, self.names[self.form.columns[0]])}"
        allowed = f"fewer than the {self.max_length} of max_length (a greater one, or `overlong: drop`)"
        return InvalidInput("max_length", found, allowed)


class _FoundError(Exception):
    """What is wrong with a cell: the form's name of its column, what was found, what would do, and the job field."""

    def __init__(self, column: str, found: str, allowed: str, field: str) -> None:
        super().__init__(found)
        self.column, self.found, self.allowed, self.field = column, found, allowed, field


def _program(part: Columns, row: int, column: str) -> str:
    """Tests as one program: a text, or a list of lines."""
    value = part.values[column][row]
    lines = value if isinstance(value, list) else [value]
    if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        allowed = "Python that raises where a program is wrong, or a list of such lines"
        raise InvalidInput("generation.tests", f"{brief(value)} in {part.place(row, column)}", allowed)
    return "\n".join(lines)


def _field(form: Form, column: str | None = None) -> str:
    """The field of the job that names a column."""
    if form in (SHAREGPT, DIALOGUE):
        return "messages"
    if form is ALPACA:
        return "train"
    return column or form.columns[0]


def _text(cell: Mapping[str, Any], name: str, empty: bool = False) -> str:
    value = cell[name]
    if type(value) is not str or not (empty or value.strip()):
        field = "train" if name in (*ALPACA.columns, *ALPACA.optional) else name
        raise _FoundError(name, brief(value), "text in every row" if empty else "text that is not empty", field)
    return value


def _cell(read: Callable[[object], list[Any]], cell: Mapping[str, Any], name: str) -> list[Any]:
    if name not in cell:
        return []
    try:
        return read(cell[name])
    except ValueError as error:
        field = "messages" if name in ("conversations", "turns", "tools") else name
        allowed = "a list of turns, each with a role and a content" if name != "tools" else "a list of tools, or none"
        raise _FoundError(name, str(error), allowed, field) from None


def learnt_pieces(rows: Rows) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int32]]]:
    """Of each row its text, the characters up to the end of each piece `[pieces]`, and what is learnt `[pieces]`."""
    for pieces, learnt in zip(rows.texts, rows.targets, strict=True):
        yield "".join(pieces), np.cumsum([len(piece) for piece in pieces]), learnt
