"""Tokens that a job adds to its model: to the tokenizer, and as rows to the embeddings. Needs torch for models alone.

A new row begins as the mean of the rows of the pieces that its text was before (Hewitt 2021, "Initializing new word
embeddings for pretrained language models", whose mean is over the whole vocabulary; pieces of the text say more). So it
follows from model and text, and adapters need not store where it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer

from workers.errors import InvalidInput
from workers.models.references import read_config, read_tensors, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FIELD = "new_tokens"
_FILE = "tokenizer.json"
_OUTPUTS = {"lm_head": "lm_head", "embed_out": "lm_head", "decoder": "decoder"}
"""What transformers calls the output layer of a decoder, by what checkpoints call it."""


@dataclass(frozen=True)
class NewToken:
    """A token that is added: its text, its id, and the tokens that the text was before."""

    text: str
    id: int
    pieces: tuple[int, ...]


def new_tokens(reference: str, texts: Sequence[str]) -> tuple[NewToken, ...]:
    """The tokens that `texts` become on a model. Raises `InvalidInput` with field `new_tokens`."""
    if not texts:
        return ()
    file = resolve(reference, weights=False) / _FILE
    if not file.is_file():
        raise InvalidInput(FIELD, f"{reference} without {_FILE}", f"a model whose tokenizer is a {_FILE}")
    return _new_tokens(file, file.stat().st_mtime, tuple(texts))


@lru_cache(maxsize=16)
def _new_tokens(file: Path, changed_at: float, texts: tuple[str, ...]) -> tuple[NewToken, ...]:
    del changed_at  # a part of the key
    tokenizer = Tokenizer.from_file(str(file))
    for text in texts:
        _check(text, texts, tokenizer)
    pieces = {text: tuple(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts}
    extend(tokenizer, texts)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    for text in texts:
        _check_written(text, tokenizer.decode([ids[text]], skip_special_tokens=False))
    return tuple(NewToken(text, ids[text], pieces[text]) for text in texts)


def _check(text: str, texts: tuple[str, ...], tokenizer: Tokenizer) -> None:
    if text != text.strip() or not text:
        raise InvalidInput(FIELD, text, "texts without spaces at their ends")
    if texts.count(text) > 1:
        raise InvalidInput(FIELD, f"{text!r} twice", "each token once")
    known = tokenizer.token_to_id(text)
    if known is not None:
        found = f"{text!r}, which is token {known} of the model already"
        raise InvalidInput(FIELD, found, "texts that are no token yet; `trainable_token_indices` trains those that are")


def _check_written(text: str, written: str) -> None:
    """Refuse a text that answers would not hold: of a byte-level tokenizer one that its decoder takes for bytes."""
    if written.strip() != text:
        found = f"{text!r}, which the model's tokenizer writes as {written!r}"
        raise InvalidInput(FIELD, found, "texts that it gives back as they are, as those of ASCII")


def check_occurring(texts: Sequence[str], rows: Sequence[Sequence[str] | str]) -> None:
    """Raise `InvalidInput` for a token that no training row holds: its embedding would stay as it began.

    `rows` are texts, or their pieces in order.
    """
    missing = set(texts)
    for row in rows:
        if not missing:
            return
        whole = row if isinstance(row, str) else "".join(row)
        missing = {text for text in missing if text not in whole}
    if missing:
        raise InvalidInput(FIELD, f"{min(missing)!r}, which no training row holds", "texts that the rows hold")


def extend(tokenizer: Tokenizer, texts: Iterable[str]) -> None:
    """Add tokens to a tokenizer: never cut, never normalised, and kept in answers, as special ones are not."""
    tokenizer.add_tokens([_added(text) for text in texts])


def _added(text: str) -> AddedToken:
    return AddedToken(text, normalized=False, special=False)


def extend_tokenizer(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[NewToken]) -> None:
    """The same for a tokenizer of transformers."""
    tokenizer.add_tokens([_added(one.text) for one in tokens])
    for one in tokens:
        if tokenizer.convert_tokens_to_ids(one.text) != one.id:
            raise InvalidInput(FIELD, one.text, "a model whose tokenizer adds tokens behind its vocabulary")


def extend_model(model: PreTrainedModel, tokens: Sequence[NewToken]) -> None:
    """Give tokens their rows: of embeddings that are padded already existing ones, else new ones at their end."""
    import torch

    if not tokens:
        return
    words: Any = model.get_input_embeddings()
    there = len(words.weight)
    rows = rows_for(there, tokens)
    if rows > there:
        model.resize_token_embeddings(rows, mean_resizing=False)
    ends: list[Any] = [model.get_input_embeddings(), model.get_output_embeddings()]
    weights = {id(end.weight): end.weight for end in ends if end is not None}
    with torch.no_grad():
        for weight in weights.values():
            for one in tokens:
                weight[one.id] = weight[list(one.pieces)].float().mean(0) if one.pieces else weight.float().mean(0)
    model.requires_grad_(False)


def rows_for(rows: int, tokens: Sequence[NewToken]) -> int:
    """Rows of an embedding of `rows` that has place for the tokens."""
    return max(rows, *(one.id + 1 for one in tokens)) if tokens else rows


def untied_output(reference: str) -> str:
    """The output layer of a decoder with weights of its own, as transformers calls it; empty where it is tied."""
    said = read_config(reference).get("tie_word_embeddings")
    if said:
        return ""
    stored = {name.removesuffix(".weight") for name in read_tensors(reference) or ()}
    own = next((name for stored_as, name in _OUTPUTS.items() if stored_as in stored), "")
    return own or ("lm_head" if said is False else "")
