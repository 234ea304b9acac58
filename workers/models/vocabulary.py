"""Whether the tokenizer in a model's folder fits the model and knows the texts. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from workers.errors import InvalidInput
from workers.models.weights import refuse_pointer

_FILES = (
    ("tokenizer.json",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("tokenizer.model",),
    ("sentencepiece.bpe.model",),
    ("spiece.model",),
    ("tiktoken.model",),
)
SAMPLE_ROWS, SAMPLE_CHARACTERS = 200, 2000
MOST_UNKNOWN = 0.9
"""Share of a task's tokens that a tokenizer may not know; beyond it the model is given nothing to tell texts by."""


def check_tokenizer(folder: Path, vocabulary: int) -> Tokenizer | None:
    """The tokenizer in a folder whose model embeds `vocabulary` tokens; None where only transformers can read it.

    Raises `InvalidInput` with field `model`: no tokenizer there, one that cannot be read, or one of another model.
    Tokens that were added behind the vocabulary may be more than the embedding holds: padding is chosen from those it
    holds, and `check_texts` looks whether others occur.
    """
    names = next((names for names in _FILES if all((folder / name).is_file() for name in names)), None)
    if names is None:
        allowed = "a folder with the model's tokenizer: " + ", ".join(" and ".join(one) for one in _FILES)
        raise InvalidInput("model", f"{folder} without a tokenizer", allowed)
    path = folder / names[0]
    refuse_pointer(path)
    tokenizer = None
    try:
        if path.name == "tokenizer.json":
            tokenizer = Tokenizer.from_file(str(path))
        tokens = _tokens(path) if tokenizer is None else tokenizer.get_vocab(with_added_tokens=False)
        highest = max(tokens.values(), default=0)
    except Exception as error:  # of `tokenizers`, which raises no narrower class
        raise InvalidInput("model", f"{path}: {error}", "a tokenizer that can be read") from error
    if highest >= vocabulary:
        found = f"{path} with token ids up to {highest}, and {vocabulary} rows of the model's embedding"
        raise InvalidInput("model", found, "a model and a tokenizer that belong together")
    return tokenizer


def check_texts(tokenizer: Tokenizer, texts: Sequence[str], vocabulary: int) -> None:
    """Raise `InvalidInput` with field `model` where a sample of texts is unknown or leads outside the embedding."""
    sample = texts[:: max(1, len(texts) // SAMPLE_ROWS)][:SAMPLE_ROWS]
    encoded = tokenizer.encode_batch([text[:SAMPLE_CHARACTERS].encode(errors="replace").decode() for text in sample])
    tokens = ((token, id) for one in encoded for token, id in zip(one.tokens, one.ids, strict=True))
    beyond = next((token for token, id in tokens if id >= vocabulary), "")
    refuse_outside(beyond or _written_outside(tokenizer, texts, vocabulary), vocabulary)
    unknown_id = _unknown_id(tokenizer)
    words = [id for one in encoded for id, special in zip(one.ids, one.special_tokens_mask, strict=True) if not special]
    refuse_unknown(words.count(unknown_id) if unknown_id is not None else 0, len(words))


def refuse_outside(token: str, vocabulary: int) -> None:
    """Raise `InvalidInput` for a token of the texts (not empty) that the embedding has no row for."""
    if token:
        found = f"a tokenizer that gives {token!r} an id beyond the {vocabulary} rows of the model's embedding"
        raise InvalidInput("model", found, "texts without it, or a model whose embedding was resized to its tokenizer")


def refuse_unknown(unknown: int, words: int) -> None:
    """Raise `InvalidInput` when too many of the tokens that texts consist of are the unknown one."""
    if words and unknown >= MOST_UNKNOWN * words:
        found = f"a tokenizer that does not know {unknown} of {words} tokens of the training texts"
        raise InvalidInput("model", found, "a model whose tokenizer knows the words of the data")


def _tokens(path: Path) -> dict[str, int]:
    """The vocabulary of the older formats; empty where only transformers can read it."""
    if path.name == "vocab.txt":
        return {line: number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())}
    tokens: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.name == "vocab.json" else {}
    return tokens


def _written_outside(tokenizer: Tokenizer, texts: Sequence[str], vocabulary: int) -> str:
    """The first added token without a row that is written in any of the texts, as `[PAD]` might be; or empty."""
    added = tokenizer.get_added_tokens_decoder()
    outside = [token.content for id, token in added.items() if id >= vocabulary and token.content]
    if not outside:
        return ""
    pattern = re.compile("|".join(map(re.escape, outside)))
    found = next((match for text in texts if (match := pattern.search(text))), None)
    return "" if found is None else found[0]


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    kind = json.loads(tokenizer.to_str())["model"]
    if kind.get("unk_token") is not None:
        return tokenizer.token_to_id(kind["unk_token"])
    unknown: int | None = kind.get("unk_id")
    return unknown
