"""`token-classification`: a tag for each word of a sentence; spans of tags (BIO) are what is found.

A word's tag is read at its first sub-word, the other sub-words count nowhere. Words that `max_length` cuts off are
neither trained nor measured. Spans follow `seqeval` (Nakayama 2018) in its default mode: B opens a span, so do I and E
behind another type or O; S is one alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field

from workers.bounded import Name
from workers.data.columns import Columns, brief
from workers.data.domains import domains_of
from workers.data.rows import Rows, TaskData
from workers.data.sources import divided, read_splits
from workers.data.tokens import Encoded
from workers.errors import InvalidInput
from workers.models.heads import TOKEN
from workers.tasks.criterion import IGNORED, Criterion
from workers.tasks.metrics import ACCURACY, F1_MACRO, LOSS, Metric
from workers.tasks.section import DomainSection, KnowledgeSection
from workers.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

F1_SPAN = Metric("f1_span", "quality", "maximize", "", "F1 of spans with their type, as seqeval counts them", high=1)
Span = tuple[str, int, int]
"""Type, first and last word."""


class TokenClassificationSpec(DomainSection, KnowledgeSection):
    """The `task` section of a token classification."""

    type: Literal["token-classification"] = "token-classification"
    tokens: Name = Field(default="tokens", description="column of the words: a list of texts in each row")
    tags: Name = Field(default="tags", description="column of their tags: a list as long, of texts or of indices")

    def text_columns(self) -> tuple[str, ...]:
        """The column that makes the input."""
        return (self.tokens,)


def read(task: TokenClassificationSpec, seed: int = 0) -> TaskData:
    """The rows of a task with the tags of its training rows. Raises `InvalidInput` naming the field."""
    splits = read_splits(task, (task.tokens,), task.tags)
    words = {role: [one for part in parts for one in _words(part, task.tokens)] for role, parts in splits.items()}
    tags = {role: [one for part in parts for one in _tags(part, task)] for role, parts in splits.items()}
    names = next((part.class_names for part in splits["train"] if part.class_names), None)
    labels = names or tuple(sorted({tag for row in tags["train"] for tag in row}))
    if len(labels) < 2:
        raise InvalidInput("tags", f"{list(labels)} as the only tag of {task.train}", "at least two tags")
    index = {tag: number for number, tag in enumerate(labels)}
    rows = {}
    for role, own in tags.items():
        if unknown := sorted({tag for row in own for tag in row} - index.keys()):
            found = f"tags {', '.join(map(repr, unknown[:5]))} that train does not have"
            raise InvalidInput(role, found, f"the tags of train, {', '.join(map(repr, labels[:20]))}")
        targets = np.empty(len(own), dtype=object)  # made first: rows of one length would become a matrix
        targets[:] = [np.array([index[tag] for tag in row], dtype=np.int32) for row in own]
        rows[role] = Rows(tuple(words[role]), None, targets, domains=domains_of(task, splits[role]))
    return divided(task, seed, labels, rows, strata=lambda rows: np.zeros(len(rows), dtype=np.int64))


def _words(columns: Columns, name: str) -> list[tuple[str, ...]]:
    for row, value in enumerate(columns.values[name]):
        if not isinstance(value, list) or not value or not all(type(word) is str for word in value):
            found = f"{brief(value)} in {columns.place(row, name)}"
            raise InvalidInput("tokens", found, "a list of at least one word in every row")
    return [tuple(value) for value in columns.values[name]]


def _tags(columns: Columns, task: TokenClassificationSpec) -> list[list[str]]:
    found = []
    for row, (words, value) in enumerate(zip(columns.values[task.tokens], columns.values[task.tags], strict=True)):
        where = columns.place(row, task.tags)
        names = None if not isinstance(value, list) else [_name(tag, columns.class_names) for tag in value]
        if names is None or None in names:
            raise InvalidInput("tags", f"{brief(value)} in {where}", "a list of tags (texts or indices) in every row")
        if len(names) != len(words):
            raise InvalidInput("tags", f"{len(names)} tags for {len(words)} words in {where}", "a tag for each word")
        found.append([str(name) for name in names])
    return found


def _name(tag: object, names: tuple[str, ...] | None) -> str | None:
    """A tag's text; None where it cannot be one."""
    if names is not None and isinstance(tag, int):
        return names[tag] if 0 <= tag < len(names) else None
    return str(tag) if isinstance(tag, int | str) and not isinstance(tag, bool) and str(tag) else None


def encode(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    """Token ids, and the tag of each word at its first sub-word."""
    sentences = [_spaced(words, tokenizer) for words in rows.texts]
    encoded = tokenizer(
        sentences, is_split_into_words=True, truncation=True, max_length=max_length, padding=False,
        return_attention_mask=False, verbose=False,
    )  # fmt: skip
    found: Encoded = dict(encoded)
    found["targets"] = []
    for number, tags in enumerate(rows.targets):
        word_of = encoded.word_ids(number)  # of each token, None for those the tokenizer adds
        before = [None, *word_of[:-1]]
        first = (word is not None and word != last for word, last in zip(word_of, before, strict=True))
        found["targets"].append([tags[word] if new else IGNORED for word, new in zip(word_of, first, strict=True)])
    return found


def _spaced(words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Words as they stand in a text: byte-level tokenizers tell a word from the rest of one by the space before it."""
    splits = tokenizer.backend_tokenizer.pre_tokenizer
    space = splits is not None and splits.pre_tokenize_str(" a")[0][0].startswith("Ġ")
    return [word if number == 0 or not space else f" {word}" for number, word in enumerate(words)]


def criterion(_task: TokenClassificationSpec, tags: tuple[str, ...]) -> Criterion:
    """Cross-entropy and the metrics of spans and tags."""
    from workers.tasks.losses import classification_loss

    return Criterion("token", classification_loss, lambda: SpanMeasure(tags))


class SpanMeasure:
    """Span F1 over all types, and accuracy, macro F1 and cross-entropy over words, of logits `[rows, tokens, tags]`."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        from workers.tasks.measures import ClassificationMeasure

        self._tags = tags
        self._words = ClassificationMeasure(len(tags))
        self._spans = np.zeros(3, dtype=np.int64)  # right, predicted, true

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits `[rows, tokens, tags]` and tags `[rows, tokens]`, some of them `IGNORED`."""
        counted = targets != IGNORED
        self._words.add(outputs[counted], targets[counted])
        predicted, true, real = (one.cpu().numpy() for one in (outputs.argmax(-1), targets, counted))
        for mine, theirs, those in zip(predicted, true, real, strict=True):
            found, wanted = (spans([self._tags[tag] for tag in row[those]]) for row in (mine, theirs))
            self._spans += (len(found & wanted), len(found), len(wanted))

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._words.merge(other._words)
        self._spans += other._spans

    def result(self) -> dict[str, float]:
        """The metrics of all rows."""
        words = self._words.result()
        right, predicted, true = self._spans.tolist()
        f1 = 2 * right / (predicted + true) if predicted + true else 0.0
        return {"f1_span": f1, **{name: words[name] for name in ("f1_macro", "accuracy", "loss")}}


def spans(tags: Sequence[str]) -> set[Span]:
    """The spans of a sentence's tags, by seqeval's rules."""
    found: set[Span] = set()
    kind, prefix, start = "", "O", 0
    for position, tag in enumerate([*tags, "O"]):
        own, own_kind = tag[0], tag[1:].split("-", maxsplit=1)[-1] or "_"
        other = kind != own_kind
        if prefix in "ES" or (prefix in "BI" and own in "BSO") or (prefix not in "O." and other):
            found.add((kind, start, position - 1))
        if own in "BS" or (prefix in "ESO" and own in "EI") or (own not in "O." and other):
            start = position
        kind, prefix = own_kind, own
    return found


TASK = Task(
    name="token-classification",
    summary="a tag for each word, such as the entities of a sentence",
    pipeline_tag="token-classification",
    section=TokenClassificationSpec,
    metrics=(F1_SPAN, F1_MACRO, ACCURACY, LOSS),
    head=TOKEN,
    read=read,
    encode=encode,
    criterion=criterion,
    example={"model": "builtin:minilm", "train": "builtin:pytokens", "max_length": 64, "train_rows": 1000},
)
