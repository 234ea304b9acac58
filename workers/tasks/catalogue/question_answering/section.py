"""The `task` section of an extractive question answering. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from workers.bounded import Name
from workers.tasks.catalogue.question_answering.answers import Language
from workers.tasks.section import DomainSection, KnowledgeSection


class QuestionAnsweringSpec(DomainSection, KnowledgeSection):
    """The `task` section of an extractive question answering: an answer is a span of its context."""

    type: Literal["question-answering"] = "question-answering"
    max_length: int = Field(
        default=384, ge=16, le=8192, description="tokens of a window: a question and a part of its context"
    )
    question: Name = Field(default="question", description="column of the questions")
    context: Name = Field(default="context", description="column of the texts that answer them")
    answers: Name = Field(
        default="answers", description="column of answers with their offsets in characters; none where there is none"
    )
    doc_stride: int | None = Field(
        default=None,
        ge=0,
        le=4096,
        description="tokens that neighbouring windows of a long context share (default: a third of `max_length`)",
    )
    max_answer_length: int = Field(default=30, ge=1, le=512, description="tokens of the longest answer that is given")
    id: Name | None = Field(default=None, description="column of the questions' names (default: their numbers)")
    n_best: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="likeliest answers of each held-out question that are kept with the adapter, with their scores",
    )
    language: Language = Field(default="en", description="whose articles and words `exact_match` and `f1_token` know")

    @field_validator("doc_stride")
    @classmethod
    def _inside_a_window(cls, value: int | None, known: ValidationInfo) -> int | None:
        length = known.data.get("max_length")
        if value is not None and length is not None and value > length // 2 - 4:
            raise ValueError(f"windows would not move on; allowed: at most {length // 2 - 4} with max_length {length}")
        return value

    def text_columns(self) -> tuple[str, ...]:
        """The columns that make the input."""
        return (self.question, self.context)
