"""A preferred and a rejected answer to one prompt, in the forms that people keep them in.

`prompt`, `chosen` and `rejected` as texts or as messages; or whole conversations as `chosen` and `rejected`, whose
common beginning is the prompt (raw HH-RLHF data as texts, UltraFeedback as messages).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.data.chat.turns import Messages, messages_of
from workers.data.columns import brief

_TURN = "\n\nAssistant:"
"""What an answer begins behind in the texts of HH-RLHF."""


@dataclass(frozen=True)
class Sides:
    """A prompt and two ways to go on from it: all texts, or all lists of messages."""

    prompt: str | Messages
    chosen: str | Messages
    rejected: str | Messages


class UnfitSideError(Exception):
    """Why a row tells no preference.

    `column` is the form's name of where it shows; `unusable`: its sides are well-formed, but equal or empty.
    """

    def __init__(self, column: str, found: str, unusable: bool = False) -> None:
        super().__init__(found)
        self.column, self.found, self.unusable = column, found, unusable


def sides_of(cell: Mapping[str, Any]) -> Sides:
    """The sides of a row with `chosen`, `rejected` and perhaps `prompt`. Raises `UnfitSideError`."""
    given = {name: _read(cell[name], name) for name in ("prompt", "chosen", "rejected") if name in cell}
    sides = _conversations(given) if any(isinstance(one, list) for one in given.values()) else _texts(given)
    for name in ("chosen", "rejected"):
        if not _said(getattr(sides, name)):
            raise UnfitSideError(name, "an empty answer", unusable=True)
    if _said(sides.chosen) == _said(sides.rejected):
        raise UnfitSideError("rejected", "the answer that is chosen, too", unusable=True)
    return sides


def _read(value: object, name: str) -> str | Messages:
    if type(value) is str and not value.lstrip().startswith("[{"):
        return value
    if value == []:
        return []
    try:
        return messages_of(value)
    except ValueError as error:
        raise UnfitSideError(name, str(error), unusable="an empty answer" in str(error)) from None


def _said(side: str | Messages) -> str:
    return side.strip() if isinstance(side, str) else "\n".join(str(one["content"]).strip() for one in side).strip()


def _texts(given: Mapping[str, Any]) -> Sides:
    if "prompt" in given:
        return Sides(given["prompt"], given["chosen"], given["rejected"])
    chosen, rejected = given["chosen"], given["rejected"]
    if chosen == rejected:
        raise UnfitSideError("rejected", "the answer that is chosen, too", unusable=True)
    pairs = enumerate(zip(chosen, rejected, strict=False))
    parted = next((at for at, (left, right) in pairs if left != right), min(len(chosen), len(rejected)))
    end = _prompt_end(chosen[:parted])
    return Sides(chosen[:end], chosen[end:], rejected[end:])


def _prompt_end(common: str) -> int:
    """Characters of the prompt in the beginning that two texts have in common: up to where an answer begins, or in
    front of the word in which they part."""
    turn = common.rfind(_TURN)
    if turn >= 0:
        return turn + len(_TURN)
    return max((at for at, one in enumerate(common) if one.isspace()), default=0)  # the blank goes with the word


def _conversations(given: Mapping[str, Any]) -> Sides:
    chosen, rejected = (_turns(given[name], "assistant") for name in ("chosen", "rejected"))
    prompt = _turns(given["prompt"], "user") if "prompt" in given else None
    if prompt is None or (chosen[: len(prompt)] == prompt == rejected[: len(prompt)]):
        alike = [left == right for left, right in zip(chosen, rejected, strict=False)]
        # The last turn of either side is an answer, even where the sides are equal.
        count = min([alike.index(False)] if False in alike else [len(alike)])
        count = max(0, min(count, len(chosen) - 1, len(rejected) - 1))
        prompt, chosen, rejected = chosen[:count], chosen[count:], rejected[count:]
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        if side and side[-1]["role"] != "assistant":
            raise UnfitSideError(name, f"{brief(side[-1]['content'])} of the {side[-1]['role']} as the last turn")
    return Sides(prompt, chosen, rejected)


def _turns(value: str | Messages, role: str) -> Messages:
    if isinstance(value, list):
        return value
    return [{"role": role, "content": value}]
