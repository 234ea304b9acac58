"""What a job wants of the answers that its winners write. Imports no torch."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from workers.bounded import Name
from workers.generation.settings import GenerationSettings
from workers.tasks.metrics import Metric

EXACT_MATCH = Metric("exact_match", "quality", "maximize", "", "share of answers that are right", low=0, high=1)
ROUGE_L = Metric("rouge_l", "quality", "maximize", "", "longest common subsequence with the reference", low=0, high=1)
PASS_AT_K = Metric("pass_at_k", "quality", "maximize", "", "chance that one of k programs passes", low=0, high=1)
ANSWERS_FILE = "generations.json"
"""In an exported adapter: a few answers beside those of the base."""
WRITTEN = (EXACT_MATCH, ROUGE_L, PASS_AT_K)


class GenerationSpec(GenerationSettings):
    """`task.generation`: answers that are written and scored where a trial has trained to its end, and in `confirm`."""

    metrics: tuple[Literal["exact_match", "rouge_l", "pass_at_k"], ...] = Field(
        default=("rouge_l",), description="scores of the answers; each can be an objective; `task.judges` adds others"
    )
    rows: int = Field(default=64, ge=1, le=100_000, description="rows that are answered at most")
    answer_pattern: str | None = Field(
        default=None,
        max_length=1000,
        description="regular expression of what counts in `exact_match`: its last match, or the first group of that",
    )
    tests: Name | None = Field(default=None, description="column of Python that raises where a program is wrong")
    k: int = Field(default=1, ge=1, le=1000, description="programs of which one has to pass, for `pass_at_k`")
    samples: int = Field(default=1, ge=1, le=1000, description="answers to each row; more than one are drawn")
    kept: int = Field(default=4, ge=0, le=64, description="answers that are kept with the adapter, beside the base's")

    @field_validator("answer_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"found {value!r}; allowed: a regular expression of Python ({error})") from None
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if ("pass_at_k" in self.metrics) != (self.tests is not None):
            raise ValueError(f"tests: found {self.tests!r}; allowed: a column with `pass_at_k`, else none")
        if self.answer_pattern is not None and "exact_match" not in self.metrics:
            raise ValueError("answer_pattern: found without `exact_match`; allowed: with it among `metrics`")
        if self.samples < self.k:
            raise ValueError(f"samples: found {self.samples}; allowed: at least k, {self.k}")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("temperature: found 0; allowed: above 0, as several answers to a row have to differ")
        return self
