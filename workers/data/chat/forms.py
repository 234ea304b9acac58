"""The forms of rows that a language model learns from, told by the columns of a file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from workers.errors import InvalidInput


@dataclass(frozen=True)
class Form:
    """One form: the columns that it has, and those that it may have. `columns[0]` names it in refusals."""

    name: str
    columns: tuple[str, ...]
    optional: tuple[str, ...] = ()


MESSAGES = Form("messages", ("messages",), ("tools",))
SHAREGPT = Form("sharegpt", ("conversations",), ("tools", "system"))
DIALOGUE = Form("dialogue", ("turns",))
PAIR = Form("prompt-completion", ("prompt", "completion"))
ALPACA = Form("alpaca", ("instruction", "output"), ("input", "system"))
TEXT = Form("text", ("text",))
FORMS = (MESSAGES, SHAREGPT, DIALOGUE, PAIR, ALPACA, TEXT)

ALPACA_PROMPT = (
    "Below is an instruction that describes a task{paired}. Write a response that appropriately completes the "
    "request.\n\n### Instruction:\n{instruction}\n\n{input}### Response:\n"
)
"""Of Stanford Alpaca (Taori et al. 2023), for models without a chat template."""


def form_of(columns: Collection[str], field: str) -> Form:
    """The form of a file by the names of its columns. Raises `InvalidInput` for the job field `field`."""
    found = next((form for form in FORMS if set(form.columns) <= set(columns)), None)
    if found is None:
        allowed = ", or ".join(" and ".join(f"`{name}`" for name in form.columns) for form in FORMS)
        more = "; pairs of `chosen` and `rejected` are for tasks of preference" if "chosen" in columns else ""
        raise InvalidInput(field, f"the columns {', '.join(columns) or 'none'}{more}", f"columns {allowed}")
    return found


def alpaca_prompt(instruction: str, given: str) -> str:
    """Stanford Alpaca's prompt."""
    paired = ", paired with an input that provides further context" if given else ""
    return ALPACA_PROMPT.format(
        paired=paired, instruction=instruction, input=f"### Input:\n{given}\n\n" if given else ""
    )
