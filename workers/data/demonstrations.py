"""Demonstrations: training rows that are like a text, put before it with their labels or answers. Imports no torch.

Mueller et al. 2023, "Meta-training with Demonstration Retrieval for Efficient Few-shot Learning", arXiv 2307.00119.
Certain: a retriever without training finds labelled rows that are like the input, and these stand before it, the most
like one next to it, in training and afterwards. A choice: rows are found by BM25, and the parameters are those of the
trial's method. Nothing leaks: every row, a held-out one, too, is shown training rows alone, and none that has the same
words as itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from workers.data.judged.bm25 import Bm25
from workers.data.rows import Rows, TaskData
from workers.data.tokens import untruncated
from workers.errors import InvalidInput

DEMONSTRATIONS_FILE = "demonstrations.json"
_WORD = re.compile(r"\w+")
_CARD = """
## Demonstrations
It was trained on texts behind up to {count} training rows that are like them, and needs them there. The rows are in
`{file}`:
```python
from workers.data.demonstrations import read_bank  # of peftsearch

shown = read_bank("this/folder").{call}
```
"""
_LEAST = 8  # tokens: a demonstration that would be cut to fewer is left out


@dataclass(frozen=True)
class Demonstration:
    """A training row: what it is found by, and how it stands before others."""

    asked: str
    shown: str


@dataclass(frozen=True)
class Bank:
    """What texts are shown: `count` of `rows` at most, `whole` or cut to what room there is.

    `max_length` is what a text has room for together with what stands before it, in tokens.
    """

    rows: tuple[Demonstration, ...]
    count: int
    whole: bool
    max_length: int

    @classmethod
    def of(cls, train: Rows, labels: Sequence[str], in_pieces: bool, count: int, max_length: int) -> Bank:
        """The training rows of a task. Raises `InvalidInput` where its rows have no prompts."""
        if in_pieces:
            rows = [Demonstration(_prompt(train, row), "".join(train.texts[row])) for row in range(len(train))]
            if not all(one.asked.strip() for one in rows):
                allowed = "0, or rows of which a prompt is only read"
                raise InvalidInput("demos", f"{count} with a row that is learnt from its beginning", allowed)
        else:
            asked = [_joined(train, row) for row in range(len(train))]
            rows = [
                Demonstration(text, f"{labels[int(target)]}: {text}")
                for text, target in zip(asked, train.targets, strict=True)
            ]
        return cls(tuple(rows), count, in_pieces, max_length)

    @cached_property
    def _index(self) -> Bm25:
        return Bm25([one.asked for one in self.rows])

    @cached_property
    def _said(self) -> list[tuple[str, ...]]:
        return [_words(one.asked) for one in self.rows]

    def nearest(self, asked: str) -> list[str]:
        """What is shown before a text, the row most like it last; no row without a word in common."""
        scores, own = self._index.scores(asked), _words(asked)
        unlike = (row for row in np.argsort(-scores, kind="stable") if scores[row] > 0 and self._said[row] != own)
        best = [next(unlike, None) for _ in range(self.count)]
        return [self.rows[row].shown for row in reversed(best) if row is not None]

    def before_texts(self, texts: Sequence[str], pairs: Sequence[str] | None, tokenizer: Any) -> list[str]:
        """Texts with their demonstrations before them; what pairs they have need their room, too. No text is cut for
        what stands before it."""
        backend = untruncated(tokenizer)
        seconds = [None] * len(texts) if pairs is None else list(pairs)
        found = []
        for text, second in zip(texts, seconds, strict=True):
            room = self.max_length - len(backend.encode(text, second).ids)
            shown = self.nearest(text if second is None else f"{text}\n{second}")
            shown = shown[max(0, len(shown) - max(0, room) // _LEAST) :]
            lines = [_cut(one, room // len(shown) - 1, backend) for one in shown]
            while lines and len(backend.encode("\n".join([*lines, text]), second).ids) > self.max_length:
                del lines[0]
            found.append("\n".join([*lines, text]))
        return found

    def before_prompt(self, prompt: str, used: int, tokenizer: Any) -> str:
        """Whole conversations for a prompt whose row has `used` tokens, as many as there is room for."""
        backend, shown, room = untruncated(tokenizer), "", self.max_length - used
        for one in reversed(self.nearest(prompt)):
            longer = one.removeprefix(_begin(one, tokenizer)) + shown
            if len(backend.encode(longer, add_special_tokens=False).ids) > room:
                break
            shown = longer
        return shown

    def save(self, folder: Path) -> None:
        """Write what the texts of an exported adapter are shown, and say so on its card."""
        (folder / DEMONSTRATIONS_FILE).write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
        call = "before_prompt(prompt, tokens, tokenizer)" if self.whole else "before_texts(texts, None, tokenizer)"
        with (folder / "README.md").open("a", encoding="utf-8") as card:
            card.write(_CARD.format(file=DEMONSTRATIONS_FILE, count=self.count, call=call))


def read_bank(folder: str | Path) -> Bank:
    """What the texts of an exported adapter are shown. Raises `FileNotFoundError` where it was trained without."""
    told = json.loads((Path(folder) / DEMONSTRATIONS_FILE).read_text(encoding="utf-8"))
    return Bank(tuple(Demonstration(**one) for one in told.pop("rows")), **told)


def demonstrated(data: TaskData, bank: Bank, tokenizer: Any) -> TaskData:
    """All splits with demonstrations before their rows, but not the pool, which few trials read."""
    train, validation = before_rows(data.train, bank, tokenizer), before_rows(data.validation, bank, tokenizer)
    test = None if data.test is None else before_rows(data.test, bank, tokenizer)
    return replace(data, train=train, validation=validation, test=test)


def before_rows(rows: Rows, bank: Bank, tokenizer: Any) -> Rows:
    """Rows with demonstrations before them; only what is read grows, nothing more is learnt."""
    return _before_pieces(rows, bank, tokenizer) if bank.whole else _before_texts(rows, bank, tokenizer)


def _before_texts(rows: Rows, bank: Bank, tokenizer: Any) -> Rows:
    return replace(rows, texts=tuple(bank.before_texts([str(text) for text in rows.texts], rows.pairs, tokenizer)))


def _before_pieces(rows: Rows, bank: Bank, tokenizer: Any) -> Rows:
    backend = untruncated(tokenizer)
    texts, flags = [], np.empty(len(rows), dtype=object)
    for row, pieces in enumerate(rows.texts):
        whole, learnt = "".join(pieces), rows.targets[row]
        plain = pieces[0] == ""  # a place of its own for what the tokenizer puts in front
        used = len(backend.encode(whole, add_special_tokens=plain).ids)
        shown = bank.before_prompt(_prompt(rows, row), used, tokenizer)
        begin = _begin(whole, tokenizer)
        first = ("", shown) if plain else (begin + shown,)
        own = pieces[1:] if plain else (pieces[0].removeprefix(begin), *pieces[1:])
        texts.append((*first, *own) if shown else tuple(pieces))
        flags[row] = np.concatenate([np.zeros(1, dtype=learnt.dtype), learnt]) if shown else learnt
    return replace(rows, texts=tuple(texts), targets=flags)


def _prompt(rows: Rows, row: int) -> str:
    learnt = rows.targets[row].tolist()
    return "".join(rows.texts[row][: learnt.index(1)])


def said(rows: Rows, row: int) -> tuple[str, ...]:
    """The words of a row of texts: rows that differ in case and punctuation alone have the same."""
    return _words(_joined(rows, row))


def apart(rows: Rows, data: TaskData, source: str, field: str, count: int | None, seed: int) -> Rows:
    """Of rows of a job's field, `source`, those that stand in none of its splits, in any case and punctuation: all, or
    a sample of `count`. Raises `InvalidInput` where there are too few."""
    splits = (data.train, data.validation, *(() if data.test is None else (data.test,)))
    known = {said(split, row) for split in splits for row in range(len(split))}
    kept = np.array([row for row in range(len(rows)) if said(rows, row) not in known], dtype=np.int64)
    if not len(kept):
        raise InvalidInput(field, f"{source}, all of whose texts stand in a split", "texts of its own")
    if count is not None:
        if count > len(kept):
            raise InvalidInput(f"{field}_rows", count, f"at most the {len(kept)} rows there are")
        kept = np.sort(np.random.default_rng(seed).permutation(kept)[:count])
    return rows.take(kept)


def _joined(rows: Rows, row: int) -> str:
    return str(rows.texts[row]) if rows.pairs is None else f"{rows.texts[row]}\n{rows.pairs[row]}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))


def _cut(text: str, tokens: int, backend: Any) -> str:
    offsets = backend.encode(text, add_special_tokens=False).offsets
    return text[: offsets[tokens - 1][1]] if len(offsets) > tokens else text


def _begin(text: str, tokenizer: Any) -> str:
    """The token that the template writes where a text begins, which stands there once; of others, nothing."""
    begin = tokenizer.bos_token or ""
    return begin if text.startswith(begin) and text.count(begin) == 1 else ""
