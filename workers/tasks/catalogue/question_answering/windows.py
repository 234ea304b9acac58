"""From questions and contexts to windows of tokens: a long context makes several, which overlap. Needs transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workers.data.rows import Rows
from workers.data.tokens import Encoded
from workers.tasks.criterion import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BEGINS, ENDS = 1, 2
"""Bits of a token's target: where the first right answer begins, and where it ends."""


def encode(
    rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, *, doc_stride: int | None = None
) -> Encoded:
    """Windows of at most `max_length` tokens, of which neighbours share `doc_stride` tokens of the context.

    A question is cut to half of a window. A token of the context may begin or end an answer, so may the window's first
    one of its own (`[CLS]`), which stands for none; all others are `IGNORED`. A window without the whole of an answer
    has none. `spans` are the first character of a token in its context and the end, [0, 0] outside of it; `examples`
    the row of each window.
    """
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    shared = min(max_length // 3 if doc_stride is None else doc_stride, room - room // 2 - 1)
    encoded = tokenizer(
        _cut(rows.texts, tokenizer, room // 2), list(rows.pairs or ()), truncation="only_second", max_length=max_length,
        stride=max(shared, 0), return_overflowing_tokens=True, return_offsets_mapping=True, padding=False,
        return_attention_mask=False, verbose=False,
    )  # fmt: skip
    examples = np.array(encoded["overflow_to_sample_mapping"], dtype=np.int32)
    names = [name for name in ("input_ids", "token_type_ids") if name in encoded]
    found: Encoded = {name: encoded[name] for name in names} | {"examples": examples, "spans": [], "targets": []}
    for window, example in enumerate(examples):
        spans = np.array(encoded["offset_mapping"][window], dtype=np.int32).reshape(-1, 2)
        inside = np.array([part == 1 for part in encoded.sequence_ids(window)]) & (spans[:, 1] > spans[:, 0])
        spans[~inside] = 0
        found["spans"].append(spans)
        found["targets"].append(_targets(rows.targets[example], spans, inside, _none(encoded, window, tokenizer)))
    return found


def _cut(questions: Any, tokenizer: PreTrainedTokenizerBase, most: int) -> list[str]:
    """Questions without what lies behind their first `most` tokens."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    encoded = backend.encode_batch(list(questions), add_special_tokens=False)
    return [
        text if len(one.ids) <= most else text[: one.offsets[most - 1][1]]
        for text, one in zip(questions, encoded, strict=True)
    ]


def _none(encoded: Any, window: int, tokenizer: PreTrainedTokenizerBase) -> int:
    """The position that stands for no answer."""
    ids = encoded["input_ids"][window]
    return ids.index(tokenizer.cls_token_id) if tokenizer.cls_token_id in ids else 0


def _targets(
    answers: NDArray[np.int32], spans: NDArray[np.int32], inside: NDArray[np.bool_], none: int
) -> NDArray[np.int32]:
    """Bits `[tokens]` of what may begin or end an answer, `IGNORED` elsewhere."""
    targets = np.where(inside, 0, IGNORED).astype(np.int32)
    targets[none] = 0
    places = np.flatnonzero(inside)
    begin, end = (int(answers[0]), int(answers[1])) if len(answers) else (-1, -1)
    whole = len(answers) > 0 and len(places) > 0 and spans[places[0], 0] <= begin and end <= spans[places[-1], 1]
    touched = places[(spans[places, 1] > begin) & (spans[places, 0] < end)] if whole else places[:0]
    first, last = (touched[0], touched[-1]) if len(touched) else (none, none)
    targets[first] |= BEGINS
    targets[last] |= ENDS
    return targets
