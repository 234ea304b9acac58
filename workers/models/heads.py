"""The heads that transformers puts on a body, by what a task needs. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reads = Literal["pooled", "every", "labelled"]
_PROMPTS = ("PrefixTuningConfig", "PromptEncoderConfig", "PromptTuningConfig")


@dataclass(frozen=True)
class Head:
    """One kind of head.

    Attributes:
        auto_class: the class of transformers that loads a body with it.
        peft_type: peft's `TaskType`; empty where it has none.
        reads: the one position that stands for a row (`pooled`: which one is the model class's own affair), every
            position, or those that have a target (`labelled`). Engines leave out what no head reads.
        fresh: whether a checkpoint has no such head: it is drawn at random, and every trial trains it.
        endings: how the names of model classes with such a head end.
        bare: whether the head's own layers are left out, so that outputs are the body's hidden states.
        processor: the class of transformers that makes a model's inputs of a row.
        hands_on: whether peft's class for its task hands all inputs on to the model.
    """

    auto_class: str
    peft_type: str
    reads: Reads
    fresh: bool
    endings: tuple[str, ...]
    bare: bool = False
    processor: str = "AutoTokenizer"
    hands_on: bool = True

    @property
    def key(self) -> str:
        """What exports call it: as peft does, where peft has a name for it."""
        return self.peft_type or self.auto_class

    def task_type(self, config_class: str) -> str:
        """peft's `TaskType` for an adapter of this class of peft's configs; empty for none in particular.

        What is inside a model needs none, and is given none where it would lose inputs by it. Prompts need it: the
        class for no task puts nothing in front.
        """
        return self.peft_type if self.hands_on or config_class in _PROMPTS else ""


SEQUENCE = Head(
    "AutoModelForSequenceClassification", "SEQ_CLS", "pooled", fresh=True, endings=("ForSequenceClassification",)
)
TOKEN = Head("AutoModelForTokenClassification", "TOKEN_CLS", "every", fresh=True, endings=("ForTokenClassification",))
CAUSAL = Head("AutoModelForCausalLM", "CAUSAL_LM", "labelled", fresh=False, endings=("ForCausalLM", "LMHeadModel"))
QUESTION = Head(
    "AutoModelForQuestionAnswering",
    "QUESTION_ANS",
    "every",
    fresh=True,
    endings=("ForQuestionAnswering",),
    hands_on=False,  # of peft 0.21.2: `token_type_ids` and `position_ids` are parameters of its pass, and end there
)
HIDDEN = Head(
    "AutoModelForTokenClassification",
    "FEATURE_EXTRACTION",
    "every",
    fresh=False,
    endings=("ForFeatureExtraction",),
    bare=True,
)
IMAGE = Head(
    "AutoModelForImageClassification",
    "",
    "pooled",
    fresh=True,
    endings=("ForImageClassification",),
    processor="AutoImageProcessor",
)
SOUND = Head(
    "AutoModelForAudioClassification",
    "",
    "pooled",
    fresh=True,
    endings=("ForAudioClassification",),
    processor="AutoFeatureExtractor",
)
HEADS = (SEQUENCE, TOKEN, QUESTION, CAUSAL, HIDDEN, IMAGE, SOUND)


def head_of(model: object) -> Head:
    """The kind of head of a model in memory, by the name of its class. Raises `ValueError` for any other class."""
    name = type(model).__name__
    for head in HEADS:
        if name.endswith(head.endings):
            return head
    raise ValueError(f"found a {name}, allowed: a model {' or '.join(one.auto_class[9:] for one in HEADS)}")
