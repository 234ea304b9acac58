"""What a model is given to answer, as token ids. Needs a tokenizer of transformers, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Turns = Sequence[dict[str, str]]


def prompt_of(turns: Turns, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of a conversation up to where the assistant answers; its last message as it is without a template."""
    if tokenizer.chat_template is None:
        return list(tokenizer.encode(turns[-1]["content"]))
    text = str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=True))
    return list(tokenizer.encode(text, add_special_tokens=False))
