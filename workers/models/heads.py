"""The heads that transformers puts on a body, by what a task needs. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reads = Literal["pooled", "every"]


@dataclass(frozen=True)
class Head:
    """One kind of head.

    Attributes:
        auto_class: the class of transformers that loads a body with it.
        peft_type: peft's `TaskType`.
        reads: the one position that stands for a row (`pooled`: which one is the model class's own affair), or every
            position. Engines leave out what no head reads.
    """

    auto_class: str
    peft_type: str
    reads: Reads


SEQUENCE = Head("AutoModelForSequenceClassification", "SEQ_CLS", "pooled")
TOKEN = Head("AutoModelForTokenClassification", "TOKEN_CLS", "every")
HEADS = (SEQUENCE, TOKEN)


def head_of(model: object) -> Head:
    """The kind of head of a model in memory, by the name of its class. Raises `ValueError` for any other class."""
    name = type(model).__name__
    for head in HEADS:
        if name.endswith(head.auto_class.removeprefix("AutoModel")):
            return head
    raise ValueError(f"found a {name}, allowed: a model {' or '.join(one.auto_class[9:] for one in HEADS)}")
