"""`retrieval`: which documents of a corpus answer a query, by vectors of both (a dual encoder).

A text's vector is pooled from the hidden states of its tokens; there is no head. In training each query is compared
with the document that answers it, mined ones and those of the other queries of its batch (Karpukhin et al. 2020, arXiv
2004.04906); what is judged relevant to it is not held against it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from workers.data.rows import Judged, Rows, TaskData
from workers.data.tokens import Tokens, encode_texts
from workers.errors import InvalidInput
from workers.models.heads import HIDDEN
from workers.tasks.criterion import Criterion, Pooling
from workers.tasks.ranking.arranging import BASELINES, arranged, judged_of, no_measure
from workers.tasks.ranking.metrics import METRICS
from workers.tasks.ranking.mining import Miner
from workers.tasks.ranking.reading import read
from workers.tasks.ranking.section import RankingSection
from workers.tasks.task import Task


class RetrievalSpec(RankingSection):
    """The `task` section of a retrieval."""

    type: Literal["retrieval"] = "retrieval"
    max_length: int = Field(default=256, ge=4, le=8192, description="tokens of a query or of a document")
    negatives: int = Field(default=1, ge=0, le=16, description="documents that are not relevant, beside each that is")
    in_batch: bool = Field(
        default=True, description="whether queries are compared with the documents of the others in their batch, too"
    )
    pooling: Pooling = Field(
        default="mean", description="a text's vector: the mean of its tokens, the first (`cls`), or the `last`"
    )
    normalize: bool = Field(default=True, description="whether vectors have length 1, so that cosines are compared")
    query_prefix: str = Field(default="", max_length=1000, description="what the model reads before a query")
    document_prefix: str = Field(default="", max_length=1000, description="what the model reads before a document")

    @field_validator("in_batch")
    @classmethod
    def _something_to_compare(cls, value: bool, known: ValidationInfo) -> bool:
        if not value and known.data.get("negatives") == 0:
            raise ValueError("nothing is left to compare with; allowed: true with `negatives: 0`")
        return value


def arrange(task: RetrievalSpec, data: TaskData, seed: int) -> TaskData:
    """What the model reads: groups of a query and documents to train on, and queries before the whole corpus.

    Raises `InvalidInput` where there is nothing to compare.
    """
    return arranged(data, lambda rows: _grouped(task, rows, seed), lambda rows, role: _searched(task, rows, role))


def _grouped(task: RetrievalSpec, rows: Rows, seed: int) -> Rows:
    judged = judged_of(rows)
    groups = Miner(judged, task.mined, seed).groups(task.negatives)
    places = [
        (query, one) for query, document, others in groups for one in (-1, document, *others)
    ]  # of a group the query itself comes first
    return _texts(task, replace(judged, together=2 + task.negatives), np.array(places, dtype=np.int32))


def _searched(task: RetrievalSpec, rows: Rows, role: str) -> Rows:
    judged = judged_of(rows)
    asked = [number for number, grades in enumerate(judged.grades) if any(grade > 0 for grade in grades.values())]
    if not asked:
        raise InvalidInput(role, "no query with a relevant document", "some with one")
    queries = [(number, -1) for number in asked]
    documents = [(-1, number) for number in range(len(judged.documents))]
    return _texts(task, judged, np.array([*queries, *documents], dtype=np.int32))


def _texts(task: RetrievalSpec, judged: Judged, places: Any) -> Rows:
    """A row for each query or document; its target is its own number."""
    queries = [task.query_prefix + one for one in judged.queries]
    documents = [task.document_prefix + one for one in judged.documents]
    texts = tuple(queries[query] if document < 0 else documents[document] for query, document in places.tolist())
    return Rows(texts, None, np.arange(len(places), dtype=np.int32), replace(judged, places=places))


def criterion(task: RetrievalSpec, _labels: tuple[str, ...]) -> Criterion:
    """Loss and measure belong to a split: they know which documents are relevant."""
    return Criterion("row", _unknown, no_measure, pooling=task.pooling, together=2 + task.negatives)


def _unknown(*_: Any) -> Any:
    raise ValueError("what is relevant is known of a split, by `on_split`")


def on_split(criterion: Criterion, task: RetrievalSpec, rows: Rows, _tokens: Tokens) -> Criterion:
    """The criterion of one split."""
    from workers.tasks.catalogue.retrieval.contrast import Contrast
    from workers.tasks.catalogue.retrieval.search import SearchMeasure, bm25_of_corpus

    judged = judged_of(rows)
    if judged.together:
        return replace(criterion, loss=Contrast(judged, task.normalize, task.in_batch))
    queries = int((judged.places[:, 1] < 0).sum())
    return replace(
        criterion,
        together=1,
        measure=lambda: SearchMeasure(judged, task.normalize),
        leading=queries,
        examples=queries,
        baselines={"bm25": lambda: bm25_of_corpus(judged)},
    )


TASK = Task(
    name="retrieval",
    summary="which documents of a corpus answer a query, by vectors of both",
    pipeline_tag="sentence-similarity",
    section=RetrievalSpec,
    metrics=METRICS,
    head=HIDDEN,
    read=read,
    arrange=arrange,
    encode=encode_texts,
    criterion=criterion,
    on_split=on_split,
    rows_each=lambda task: 2 + task.negatives,
    compares_batch=lambda task: task.in_batch,
    baselines=BASELINES,
    hyperparameters=("temperature",),
    example={
        "model": "builtin:minilm",
        "train": "builtin:pysearch",
        "max_length": 96,
        "train_rows": 400,
        "validation_rows": 100,
    },
)
