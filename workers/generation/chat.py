"""A conversation with a winner and its base, side by side: `python -m workers.generation.chat ADAPTER`. Needs torch.

Reads a message a line from stdin (or takes one with `--message`), writes both answers to stdout as their tokens come.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TextStreamer
from transformers.utils import logging as transformers_logging

from workers.errors import InvalidInput
from workers.exports.merging import base_of
from workers.generation.answers import Answer, answer
from workers.generation.prompts import prompt_of
from workers.generation.settings import GenerationSettings
from workers.methods.adapter_card import chat_template_of, new_tokens_of
from workers.methods.loading import load_adapter
from workers.models.heads import CAUSAL
from workers.models.loading import load_base, load_tokenizer

AGAIN = "/new"
"""What begins a conversation anew."""


@dataclass
class Side:
    """One of those who answer, with its own side of the conversation."""

    name: str
    model: Any
    as_it: Callable[[], AbstractContextManager[Any]]
    turns: list[dict[str, str]] = field(default_factory=list)


def sides(adapter: Path) -> tuple[list[Side], Any]:
    """The base and the winner, and their tokenizer. Raises `InvalidInput` where the adapter is none of a decoder."""
    reference = base_of(adapter)
    added = tuple(one.text for one in new_tokens_of(adapter))
    tokenizer = load_tokenizer(reference, added)
    tokenizer.chat_template = chat_template_of(adapter) or tokenizer.chat_template
    device = "cuda" if torch.cuda.is_available() else "cpu"
    winner: Any = load_adapter(reference, adapter).to(device)
    if not hasattr(winner, "generate"):
        raise InvalidInput("trial", f"a {type(winner).__name__}, which writes nothing", "a trial of a language model")
    if hasattr(winner, "disable_adapter"):  # one model in memory serves both
        base, plain = winner, winner.disable_adapter
    else:
        base, plain = load_base(reference, 0, device, kind=CAUSAL, added_tokens=added).model, nullcontext
    return [Side("base", base, plain), Side("winner", winner, nullcontext)], tokenizer


def say(side: Side, message: str, tokenizer: Any, settings: GenerationSettings) -> str:
    """The answer of one side to a message, written to stdout as it comes."""
    side.turns.append({"role": "user", "content": message})
    print(f"\n{side.name}: ", end="", flush=True)
    streamer = TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    with side.as_it():
        (found,) = answer(side.model, tokenizer, [prompt_of(side.turns, tokenizer)], settings, streamer=streamer)
    side.turns.append({"role": "assistant", "content": found.text})
    return found.text


class _Telling(TextStreamer):
    """Tells what was written so far, as it comes."""

    def __init__(self, tokenizer: Any, name: str, told: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._name, self._told, self._written = name, told, ""

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002  # as it calls it
        """A piece of text is sure."""
        self._written += text
        self._told(f"{self._name}: {self._written}")


def speak(
    adapter: Path, prompt: str, settings: GenerationSettings, names: Sequence[str], told: Callable[[str], None]
) -> Iterator[tuple[str, Answer]]:
    """Each name with what it answers to a prompt: the winner, or base and winner. `told` gets what is written so far.

    Raises `InvalidInput` where the adapter is none of a decoder.
    """
    both, tokenizer = sides(adapter)
    ids = prompt_of([{"role": "user", "content": prompt}], tokenizer)
    for name, side in zip(names, both[-len(names) :], strict=True):
        with side.as_it():
            (found,) = answer(side.model, tokenizer, [ids], settings, streamer=_Telling(tokenizer, name, told))
        yield name, found


def _messages(given: str | None) -> Iterator[str]:
    if given is not None:
        yield given
        return
    if sys.stdin.isatty():
        print(f"A message a line; {AGAIN} begins anew, Ctrl-D ends.")
    while True:
        print("\n> " if sys.stdin.isatty() else "", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="peftsearch chat")
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--message")
    for name, info in GenerationSettings.model_fields.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=info.default)  # pydantic reads it
    return parser.parse_args()


def main() -> None:
    """Talk until the messages end."""
    given = _arguments()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    options = {name: value for name, value in vars(given).items() if name in GenerationSettings.model_fields}
    settings = GenerationSettings(**options)
    both, tokenizer = sides(given.adapter)
    for message in _messages(given.message):
        if message == AGAIN:
            for side in both:
                side.turns.clear()
            continue
        for side in both:
            say(side, message, tokenizer, settings)


if __name__ == "__main__":
    try:
        main()
    except (InvalidInput, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
