"""Where an answer ends. Needs a tokenizer of transformers, no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_QUESTION, _ANSWER = "peftsearch question", "peftsearch answer"


def stop_tokens(tokenizer: PreTrainedTokenizerBase, generation_config: Any = None) -> tuple[int, ...]:
    """Tokens after which nothing belongs to the answer: the end tokens of model and tokenizer, and the one that closes
    a turn of the chat template."""
    named = getattr(generation_config, "eos_token_id", None)
    ids: list[int | None] = [*(named if isinstance(named, Iterable) else (named,)), tokenizer.eos_token_id]
    ids.append(end_of_turn(tokenizer))
    return tuple(dict.fromkeys(int(one) for one in ids if one is not None))


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that the chat template puts behind an answer; None without a template or such a token."""
    if tokenizer.chat_template is None:
        return None
    turns = [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": _ANSWER}]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    behind = tokenizer.encode(text.rpartition(_ANSWER)[2].lstrip(), add_special_tokens=False)
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return behind[0] if behind and behind[0] in special else None
