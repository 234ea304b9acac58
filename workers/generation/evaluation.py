"""Answers to rows that were held out, scored. Needs torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from workers.data.tokens import Tokens
from workers.errors import InvalidInput
from workers.generation.answers import answer
from workers.generation.scores import pass_at_k
from workers.generation.scores.exact_match import exact_match
from workers.generation.scores.rouge_l import rouge_l
from workers.generation.section import GenerationSpec
from workers.generation.stops import stop_tokens
from workers.tasks.criterion import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Question:
    """A held-out row: its number, the tokens up to its last answer, that answer's text, and the tests of a program."""

    row: int
    prompt: list[int]
    reference: str
    tests: str = ""


@dataclass(frozen=True)
class Written:
    """Metrics of all answers, for the rows that are kept prompt, reference, answer and scores, and of every row its
    answers. `unmeasured` says of metrics that should be there why they are not."""

    metrics: dict[str, float]
    kept: list[dict[str, Any]]
    texts: list[list[str]]
    unmeasured: dict[str, str] = field(default_factory=dict)


def questions(
    tokens: Tokens,
    tokenizer: PreTrainedTokenizerBase,
    spec: GenerationSpec,
    tests: Sequence[str] | None = None,
    model_stops: Any = None,
) -> list[Question]:
    """The rows that are answered: the same for every trial, spread over the split; rows whose answer was cut are not.

    Raises `InvalidInput` with field `max_length` where no answer is whole.
    """
    stops = stop_tokens(tokenizer, model_stops)
    found: list[Question] = []
    for row in np.random.default_rng(0).permutation(len(tokens)):
        if len(found) == spec.rows:
            break
        place = slice(int(tokens.offsets[row]), int(tokens.offsets[row + 1]))
        ids, targets = tokens.input_ids[place], tokens.targets[place]
        learnt = np.flatnonzero(targets != IGNORED)
        if len(learnt) == 0 or int(targets[learnt[-1]]) not in stops:
            continue
        gaps = np.flatnonzero(np.diff(learnt) > 1)
        last = learnt[gaps[-1] + 1 :] if len(gaps) else learnt
        reference = tokenizer.decode(targets[last].tolist(), skip_special_tokens=True)
        own = "" if tests is None else tests[row]
        found.append(Question(int(row), ids[: last[0] + 1].tolist(), str(reference).strip(), own))
    if not found:
        raise InvalidInput("max_length", "no row whose answer ends within it", "enough tokens for whole answers")
    return sorted(found, key=lambda one: one.row)


def evaluate(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Question], spec: GenerationSpec
) -> Written:
    """Answer the questions and score the answers."""
    prompts = [one.prompt for one in asked for _ in range(spec.samples)]
    keys = [one.row * spec.samples + sample for one in asked for sample in range(spec.samples)]
    texts = [one.text for one in answer(model, tokenizer, prompts, spec, keys)]
    answers = [texts[place * spec.samples : (place + 1) * spec.samples] for place in range(len(asked))]
    scores = scores_of(asked, answers, spec)
    metrics = {name: float(np.mean(values)) for name, values in scores.items()}
    kept = [
        {
            "row": asked[place].row,
            "prompt": str(tokenizer.decode(asked[place].prompt)),
            "reference": asked[place].reference,
            "answer": answers[place][0],
            "scores": {name: values[place] for name, values in scores.items()},
        }
        for place in range(min(spec.kept, len(asked)))
    ]
    return Written(metrics, kept, [list(texts) for texts in answers])


def scores_of(
    asked: Sequence[Question], answers: Sequence[Sequence[str]], spec: GenerationSpec
) -> Mapping[str, list[float]]:
    """Each metric of each row: the mean over its answers, and the estimate from all of them for `pass_at_k`."""
    found: dict[str, list[float]] = {}
    pattern = None if spec.answer_pattern is None else re.compile(spec.answer_pattern)
    if "exact_match" in spec.metrics:
        found["exact_match"] = [
            float(np.mean([exact_match(text, one.reference, pattern) for text in texts]))
            for one, texts in zip(asked, answers, strict=True)
        ]
    if "rouge_l" in spec.metrics:
        found["rouge_l"] = [
            float(np.mean([rouge_l(text, one.reference) for text in texts]))
            for one, texts in zip(asked, answers, strict=True)
        ]
    if "pass_at_k" in spec.metrics:
        tests = [one.tests for one in asked for _ in range(spec.samples)]
        passed = np.array(pass_at_k.passed([text for texts in answers for text in texts], tests))
        counts = passed.reshape(len(asked), spec.samples).sum(axis=1)
        found["pass_at_k"] = [pass_at_k.estimate(spec.samples, int(count), spec.k) for count in counts]
    return found
