"""Pairs as a language model reads them: two rows of pieces each, which share a row of the data until they are encoded.

A piece's number is 0 or 1 in the chosen answer's row, read only or learnt, and 2 or 3 in the rejected one's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from workers.data.chat.forms import PAIR
from workers.data.chat.sides import Sides, UnfitSideError, sides_of
from workers.data.chat.template import RefusedError
from workers.data.chat.writing import Writer, Written
from workers.data.columns import Columns
from workers.data.domains import domain_at
from workers.data.rows import Rows, Text
from workers.errors import InvalidInput
from workers.tasks.catalogue import causal_lm

_REJECTED = 2


class PairSection(causal_lm.WritingSection, Protocol):
    """The fields of a section that say how its pairs are written."""

    @property
    def unusable(self) -> Literal["refuse", "drop"]: ...


@dataclass(frozen=True)
class PairWriter(Writer):
    """Writes the pairs of one job. `names` has `chosen`, `rejected` and perhaps `prompt`."""

    drop_unusable: bool = False

    @classmethod
    def of(cls, task: PairSection, names: Mapping[str, str]) -> Self:
        """For a job's section."""
        plain = causal_lm.writer_of(task, PAIR, names, answers_only=True)
        return cls(
            **{one.name: getattr(plain, one.name) for one in fields(plain)}, drop_unusable=task.unusable == "drop"
        )

    def pairs(self, parts: Sequence[Columns], domain: str | None = None) -> Rows:
        """The pairs of one split, with their domains of a column. Raises `InvalidInput` with the row."""
        places = [(part, row) for part in parts for row in range(len(part.numbers))]
        found = [(place, pair) for place in places if (pair := self._pair_of(*place)) is not None]
        if places and not found:
            raise InvalidInput("unusable", f"only rows with equal or empty answers in {places[0][0].source}", "others")
        found = self._not_overlong(found)
        flags = np.empty(len(found), dtype=object)
        flags[:] = [
            np.array([*first[1], *(_REJECTED + one for one in second[1])], dtype=np.int32)
            for _, (first, second) in found
        ]
        domains = None if domain is None else tuple(domain_at(domain, *place) for place, _ in found)
        texts = tuple((*first[0], *second[0]) for _, (first, second) in found)
        return Rows(texts, None, flags, domains=domains)

    def _pair_of(self, part: Columns, row: int) -> tuple[Written, Written] | None:
        """Both rows of a pair; None for one that is left out."""
        try:
            sides = sides_of({name: part.values[column][row] for name, column in self.names.items()})
            return self._side(sides, sides.chosen), self._side(sides, sides.rejected)
        except UnfitSideError as error:
            if error.unusable and self.drop_unusable:
                return None
            allowed = "two answers that differ, neither empty" + (", or `unusable: drop`" if error.unusable else "")
            found = f"{error.found} in {part.place(row, self.names[error.column])}"
            raise InvalidInput(error.column, found, allowed) from None
        except RefusedError as error:
            place = part.place(row, self.names["chosen"])
            message = f"chosen: {place}: the chat template refuses the conversation: {error}"
            raise InvalidInput("chosen", place, "a conversation that the template takes", message) from error

    def _side(self, sides: Sides, side: Any) -> Written:
        return self._written({"prompt": sides.prompt, "completion": side})

    def _not_overlong(self, found: list[Any]) -> list[Any]:
        before = ["".join(pieces[: learnt.index(1)]) for _, pair in found for pieces, learnt in pair]
        overlong = {number // 2: tokens for number, tokens in self._overlong(before).items()}
        if overlong and (not self.drop_overlong or len(overlong) == len(found)):
            number, tokens = next(iter(overlong.items()))
            raise self._too_long(tokens, *found[number][0])
        return [one for number, one in enumerate(found) if number not in overlong]


_Side = tuple[tuple[str, ...], NDArray[np.int32]]
"""Pieces of a row, and which are learnt."""


def sequences(rows: Rows, mismatched: bool = False) -> Rows:
    """Two rows for each pair: the chosen answer's and the rejected one's.

    With `mismatched` a third one: the prompt with an answer of the pair before, by turns the chosen and the rejected.
    """
    pairs = [_sides(pieces, learnt) for pieces, learnt in zip(rows.texts, rows.targets, strict=True)]
    written: list[_Side] = []
    for number, pair in enumerate(pairs):
        written += pair
        if mismatched:
            written.append(_answered(pair[0], pairs[number - 1][number % 2]))
    flags = np.empty(len(written), dtype=object)
    flags[:] = [learnt for _, learnt in written]
    return Rows(tuple(pieces for pieces, _ in written), None, flags)


def _sides(pieces: Text, learnt: NDArray[np.int32]) -> tuple[_Side, _Side]:
    first = int((learnt < _REJECTED).sum())
    return (tuple(pieces[:first]), learnt[:first]), (tuple(pieces[first:]), learnt[first:] - _REJECTED)


def _answered(asked: _Side, other: _Side) -> _Side:
    """The prompt of one row with the answer of another."""
    before, behind = (int(np.argmax(learnt == 1)) for _, learnt in (asked, other))
    return (*asked[0][:before], *other[0][behind:]), np.concatenate([asked[1][:before], other[1][behind:]])
