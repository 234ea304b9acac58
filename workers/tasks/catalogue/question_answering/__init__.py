"""`question-answering`: the span of a context that answers a question, or none.

Long contexts are read in windows that overlap (Devlin et al. 2019; names are those of transformers' `run_qa.py`). A
window weighs one in the loss, a question one in `f1_token` and `exact_match`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workers.data.rows import Rows
from workers.data.tokens import Tokens
from workers.models.heads import QUESTION
from workers.tasks.catalogue.question_answering.reading import read
from workers.tasks.catalogue.question_answering.section import QuestionAnsweringSpec
from workers.tasks.catalogue.question_answering.windows import encode
from workers.tasks.criterion import Criterion, Measure
from workers.tasks.metrics import LOSS, Metric
from workers.tasks.task import Task

F1_TOKEN = Metric("f1_token", "quality", "maximize", "", "F1 of an answer's words with the best right answer", high=1)
EXACT_MATCH = Metric("exact_match", "quality", "maximize", "", "share of answers that are right word by word", high=1)


def criterion(_task: Any, _outputs: tuple[str, ...]) -> Criterion:
    """The loss of spans; what measures them belongs to a split."""
    from workers.tasks.catalogue.question_answering.spans import span_loss

    return Criterion("span", span_loss, _nothing_to_compare)


def _nothing_to_compare() -> Measure:
    raise ValueError("answers are measured on a split, by `on_split`")


def on_split(criterion: Criterion, task: QuestionAnsweringSpec, rows: Rows, tokens: Tokens) -> Criterion:
    """The criterion with measures of one split, which compare with its answers."""
    from workers.tasks.catalogue.question_answering.nbest import NBest
    from workers.tasks.catalogue.question_answering.spans import AnswerMeasure, Wanted

    wanted = Wanted.of(rows, tokens, task.language, task.max_answer_length)
    names, most = rows.names or tuple(map(str, range(len(rows)))), task.n_best
    predictions = None if most is None else (lambda: NBest(wanted, names, most))
    return replace(criterion, measure=lambda: AnswerMeasure(wanted), predictions=predictions)


TASK = Task(
    name="question-answering",
    summary="the span of a context that answers a question, or none",
    pipeline_tag="question-answering",
    section=QuestionAnsweringSpec,
    metrics=(F1_TOKEN, EXACT_MATCH, LOSS),
    head=QUESTION,
    read=read,
    encode=encode,
    criterion=criterion,
    encode_options=("doc_stride",),
    on_split=on_split,
    reading="The score of an answer is the first number of its first token plus the second of its last, that of no "
    "answer both of the window's first token. Where the job has `n_best`, the likeliest answers to held-out questions "
    "lie here in the form of SQuAD's scripts: nbest_predictions.json, predictions.json and null_odds.json.",
    example={"model": "builtin:minilm", "train": "builtin:pyqa", "max_length": 128, "train_rows": 1000},
)
