"""How texts are cut before merging, by GGUF's names for it (`tokenizer.ggml.pre`). Needs tokenizers, no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tokenizers import Regex, Tokenizer, pre_tokenizers

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _bytes(use_regex: bool = True) -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def _split(pattern: str) -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), _bytes(use_regex=False)])


PRE_TOKENIZERS: Mapping[str, Callable[[], Any]] = {
    "gpt-2": _bytes,
    "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _bytes()]),
    "llama-bpe": lambda: _split(_LLAMA3),
    "qwen2": lambda: _split(_QWEN2),
}


def name_of(tokenizer: Tokenizer) -> str | None:
    """GGUF's name for how a byte-level tokenizer cuts texts; None for one that is not among them."""
    found = _form(tokenizer)
    for name, make in PRE_TOKENIZERS.items():
        other = Tokenizer.from_str(tokenizer.to_str())
        other.pre_tokenizer = make()
        if _form(other) == found:
            return name
    return None


def _form(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """What of the pre-tokenizer changes tokens: `trim_offsets` does not, nor one step in a sequence of its own."""
    whole = json.loads(tokenizer.to_str())["pre_tokenizer"] or {}
    steps = whole["pretokenizers"] if whole.get("type") == "Sequence" else [whole]
    return [{name: value for name, value in step.items() if name not in ("trim_offsets", "invert")} for step in steps]
