"""Tokenised splits as flat arrays that can be memory-mapped and shared between processes. Needs transformers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workers.data.rows import Rows, Targets, TaskData
from workers.models.vocabulary import refuse_outside, refuse_unknown
from workers.tasks.criterion import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FORMAT = 6
_ARRAYS = ("input_ids", "token_type_ids", "offsets", "targets", "examples", "spans", "values", "scale")
_CHUNK = 4096
_VALUES_CHUNK = 256


Encoded = MutableMapping[str, Any]
"""`input_ids`, `token_type_ids` where the model has them, and `targets` where tokens have them: a list for each row.

Where a row makes several windows, `examples` are the rows of the windows, and `spans` where each token stands, None for
rows that have no context.
Rows that are no texts have `values` and maybe `scale` instead, as `Tokens` keeps them, and `lengths`, their tokens."""
Encode = Callable[[Rows, Any, int], Encoded]
"""From rows, a tokenizer (or what else the head's `processor` is) and the most tokens that a row may have."""


@dataclass(frozen=True)
class Tokens:
    """One split. Row i holds `input_ids[offsets[i]:offsets[i + 1]]`, special tokens included, never padded.

    `input_ids` int32 [tokens]; `token_type_ids` uint8 [tokens], or None where the model has none; `offsets` int64
    [rows + 1]; `targets` [rows] or [tokens], int32 or float32. Where rows are windows of examples, `examples` int32
    [rows] tells of which, and `spans` int32 [tokens, 2] the first character of each token there and the end.

    Rows that are no texts have no ids: `values` [rows, …] are what the model makes its tokens of, under `input_name`.
    Spectrograms are float32; images uint8 [rows, channels, height, width], of which the model reads (value -
    `scale[0]`) / `scale[1]` of each channel, float32 [2, channels].
    """

    input_ids: NDArray[np.int32]
    token_type_ids: NDArray[np.uint8] | None
    offsets: NDArray[np.int64]
    targets: Targets
    examples: NDArray[np.int32] | None = None
    spans: NDArray[np.int32] | None = None
    values: NDArray[np.uint8] | NDArray[np.float32] | None = None
    scale: NDArray[np.float32] | None = None
    input_name: str = "input_ids"

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self) -> NDArray[np.int64]:
        """Tokens per row [rows]."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class TokenisedData:
    """A task's data as engines use it. `labels` are names in the order of the model's outputs."""

    labels: tuple[str, ...]
    pad_token_id: int
    train: Tokens
    validation: Tokens
    test: Tokens | None


def tokenise_data(data: TaskData, tokenizer: Any, max_length: int, encode: Encode) -> TokenisedData:
    """Tokenise every split, truncating to `max_length` tokens (pairs: the longer text first). A text of which the
    tokenizer makes no token becomes the end token, or the padding token where there is no end token."""
    test = None if data.test is None else tokenise(data.test, tokenizer, max_length, encode)
    return TokenisedData(
        data.labels,
        int(tokenizer.pad_token_id),
        tokenise(data.train, tokenizer, max_length, encode),
        tokenise(data.validation, tokenizer, max_length, encode),
        test,
    )


def tokenise(rows: Rows, tokenizer: Any, max_length: int, encode: Encode) -> Tokens:
    """Tokenise one split."""
    if not rows.written:
        return _values(rows, tokenizer, max_length, encode)
    with_types = "token_type_ids" in tokenizer.model_input_names
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.uint8]] = []
    targets: list[NDArray[np.int32]] = []
    examples: list[NDArray[np.int32]] = []
    spans: list[NDArray[np.int32] | None] = []
    lengths: list[int] = []
    windowed = False
    for start in range(0, len(rows), _CHUNK):
        encoded = encode(rows.take(np.arange(start, min(start + _CHUNK, len(rows)))), tokenizer, max_length)
        count = len(encoded["input_ids"])
        lengths += [len(row) for row in encoded["input_ids"]]
        ids += [np.asarray(row, dtype=np.int32) for row in encoded["input_ids"]]
        if with_types:
            types += [np.asarray(row, dtype=np.uint8) for row in encoded["token_type_ids"]]
        targets += [np.asarray(row, dtype=np.int32) for row in encoded.get("targets", ())]
        windowed |= "examples" in encoded
        examples.append(np.asarray(encoded.get("examples", np.arange(count)), dtype=np.int32) + start)
        spans += encoded.get("spans", [None] * count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    own = np.concatenate(targets) if targets else rows.targets
    return Tokens(
        np.concatenate(ids),
        np.concatenate(types) if with_types else None,
        offsets,
        own,
        np.concatenate(examples) if windowed else None,
        _spans(spans, lengths) if windowed else None,
    )


def _spans(found: Sequence[NDArray[np.int32] | None], lengths: Sequence[int]) -> NDArray[np.int32]:
    """Spans `[tokens, 2]` of all rows: [0, 0] where a row has none."""
    none = np.zeros((max(lengths), 2), dtype=np.int32)
    return np.concatenate([none[:length] if own is None else own for own, length in zip(found, lengths, strict=True)])


def _values(rows: Rows, processor: Any, max_length: int, encode: Encode) -> Tokens:
    """One split of rows that are no texts, made some at a time: what they are decoded to is much more than is kept."""
    encoded = [
        encode(rows.take(np.arange(start, min(start + _VALUES_CHUNK, len(rows)))), processor, max_length)
        for start in range(0, len(rows), _VALUES_CHUNK)
    ]
    lengths = [length for one in encoded for length in one["lengths"]]
    return Tokens(
        np.zeros(0, dtype=np.int32),
        None,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        rows.targets,
        values=np.concatenate([one["values"] for one in encoded]),
        scale=encoded[0].get("scale"),
        input_name=processor.model_input_names[0],
    )


def with_rows(tokens: Tokens, more: Tokens, rows: NDArray[np.integer], targets: Targets) -> Tokens:
    """Rows of texts with `rows` [n] of `more` behind them, whose targets are `targets` [n]."""
    places = [slice(more.offsets[row], more.offsets[row + 1]) for row in rows]
    ids = [tokens.input_ids, *(more.input_ids[place] for place in places)]
    kinds = tokens.token_type_ids
    types = None if kinds is None else [kinds, *(more.token_type_ids[place] for place in places)]  # type: ignore[index]
    ends = tokens.offsets[-1] + np.cumsum(more.lengths()[rows])
    return replace(
        tokens,
        input_ids=np.concatenate(ids),
        token_type_ids=None if types is None else np.concatenate(types),
        offsets=np.concatenate([tokens.offsets, ends]).astype(np.int64),
        targets=np.concatenate([tokens.targets, targets.astype(tokens.targets.dtype)]),
    )


def taken(tokens: Tokens, rows: NDArray[np.integer]) -> Tokens:
    """Of rows of texts those at `rows` [n], in that order."""
    starts, ends = tokens.offsets[rows], tokens.offsets[np.asarray(rows) + 1]
    places = np.concatenate([np.arange(start, end) for start, end in zip(starts, ends, strict=True)])
    types = None if tokens.token_type_ids is None else tokens.token_type_ids[places]
    offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
    of_tokens = len(tokens.targets) == len(tokens.input_ids)
    targets = tokens.targets[places if of_tokens else rows]
    return replace(tokens, input_ids=tokens.input_ids[places], token_type_ids=types, offsets=offsets, targets=targets)


def windows(tokens: Tokens, length: int) -> tuple[Tokens, NDArray[np.int64]]:
    """Rows cut into windows of at most `length` tokens, and the row `[windows]` that each is of.

    Of tokens that have targets; a window without any is left out, as nothing is learnt of it. A window's last target is
    the next one's first token.
    """
    offsets = np.asarray(tokens.offsets)
    starts = [np.arange(first, last, length) for first, last in pairwise(offsets)]
    begin = np.concatenate(starts)
    row = np.repeat(np.arange(len(starts)), [len(one) for one in starts])
    end = np.minimum(begin + length, offsets[1:][row])
    learnt = np.concatenate([[0], np.cumsum(np.asarray(tokens.targets) != IGNORED)])
    kept = learnt[end] > learnt[begin]
    begin, end, row = begin[kept], end[kept], row[kept]
    places = np.concatenate([np.arange(first, last) for first, last in zip(begin, end, strict=True)])
    types = None if tokens.token_type_ids is None else tokens.token_type_ids[places]
    cut = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
    ids, targets = tokens.input_ids[places], tokens.targets[places]
    return replace(tokens, input_ids=ids, token_type_ids=types, offsets=cut, targets=targets), row


def save_tokens(data: TokenisedData, folder: Path) -> None:
    """Write arrays as `.npy` files and the rest as JSON, all or nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent))
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    for split, tokens in splits.items():
        for name in _ARRAYS:
            values = None if tokens is None else getattr(tokens, name)
            if values is not None:
                np.save(draft / f"{split}.{name}.npy", values)
    told = {"labels": data.labels, "pad_token_id": data.pad_token_id, "input_name": data.train.input_name}
    (draft / "data.json").write_text(json.dumps(told))
    try:
        os.rename(draft, folder)
    except OSError:  # another process was faster; its copy holds the same rows
        shutil.rmtree(draft)


def open_tokens(folder: Path) -> TokenisedData:
    """Open what `save_tokens` wrote as read-only memory maps."""
    meta = json.loads((folder / "data.json").read_text())
    splits = {split: _open_split(folder, split, meta["input_name"]) for split in ("train", "validation", "test")}
    return TokenisedData(tuple(meta["labels"]), meta["pad_token_id"], **splits)  # type: ignore[arg-type]


def fingerprint(data: TaskData, tokenizer: Any, max_length: int, encode: Encode) -> str:
    """Content hash of what tokenising would produce: the rows, the tokenizer, the length."""
    digest = hashlib.sha256(
        json.dumps([_FORMAT, *_named(encode), max_length, tokenizer.pad_token_id, data.labels]).encode()
    )
    digest.update(_identity(tokenizer).encode())
    for rows in (data.train, data.validation, data.test):
        digest.update(b"\x00split")
        if rows is not None:
            rows.digest_into(digest)
    return digest.hexdigest()[:32]


def _identity(processor: Any) -> str:
    """Everything of a tokenizer, or of what else makes a model's inputs, that its outputs depend on."""
    if not hasattr(processor, "backend_tokenizer"):
        return str(processor.identity())
    return str(untruncated(processor).to_str())


def untruncated(tokenizer: Any) -> Any:
    """The tokenizer that does the work, which cuts and fills nothing: what an earlier call left is undone."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return backend


def _named(encode: Encode) -> tuple[str, dict[str, Any]]:
    """An encoding by its function and the options it is given."""
    if isinstance(encode, partial):
        return encode.func.__qualname__, encode.keywords
    return encode.__qualname__, {}


def shared_tokens(data: TaskData, tokenizer: Any, max_length: int, encode: Encode, cache: Path) -> TokenisedData:
    """Tokenise once per machine: later calls, in any process, map the same files."""
    folder = cache / "tokens" / fingerprint(data, tokenizer, max_length, encode)
    if not (folder / "data.json").is_file():
        save_tokens(tokenise_data(data, tokenizer, max_length, encode), folder)
    return open_tokens(folder)


def check_tokens(data: TokenisedData, tokenizer: Any, vocabulary: int) -> None:
    """Raise `InvalidInput` where a token has no row in an embedding of `vocabulary` rows, or nearly all are unknown."""
    if data.train.values is not None:
        return
    for split in (data.train, data.validation, data.test):
        highest = 0 if split is None else int(split.input_ids.max(initial=0))
        refuse_outside(str(tokenizer.convert_ids_to_tokens(highest)) if highest >= vocabulary else "", vocabulary)
    ids = data.train.input_ids
    added = [one for one in tokenizer.all_special_ids if one != tokenizer.unk_token_id]
    refuse_unknown(int((ids == tokenizer.unk_token_id).sum()), int((~np.isin(ids, added)).sum()))


def encode_texts(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    """Token ids of texts or pairs of them, and token types where the model has them."""
    pairs = None if rows.pairs is None else list(rows.pairs)
    encoded: Encoded = tokenizer(
        list(rows.texts), pairs, truncation=True, max_length=max_length, padding=False,
        return_attention_mask=False, verbose=False,
    )  # fmt: skip
    # Tokenizers that add nothing of their own (GPT-2's) make no token of an empty text; models need one to read.
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
    for name, filler in (("input_ids", end), ("token_type_ids", 0)):
        if name in encoded:
            encoded[name] = [row or [filler] for row in encoded[name]]
    return encoded


def _open_split(folder: Path, split: str, input_name: str) -> Tokens | None:
    def array(name: str) -> Any:
        path = folder / f"{split}.{name}.npy"
        return np.load(path, mmap_mode="r") if path.is_file() else None

    if array("targets") is None:
        return None
    return Tokens(**{name: array(name) for name in _ARRAYS}, input_name=input_name)
