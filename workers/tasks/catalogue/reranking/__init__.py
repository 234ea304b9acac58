"""`reranking`: how well a document answers a query, both read together (a cross-encoder).

In training each relevant document is read with some that are not and compared with these (Nogueira & Cho 2019, arXiv
1901.04085; as a list: Gao et al. 2021, arXiv 2101.08751). The head has one output: the higher, the more relevant.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field

from workers.data.rows import Judged, Rows, TaskData
from workers.data.tokens import Tokens, encode_texts
from workers.errors import InvalidInput
from workers.models.heads import SEQUENCE
from workers.tasks.criterion import Criterion
from workers.tasks.ranking.arranging import BASELINES, arranged, judged_of, no_measure
from workers.tasks.ranking.metrics import METRICS
from workers.tasks.ranking.mining import Miner, candidates
from workers.tasks.ranking.reading import read
from workers.tasks.ranking.section import RankingSection
from workers.tasks.task import Task

_EVALUATION = 512  # tokens of a query and a document


class RerankingSpec(RankingSection):
    """The `task` section of a reranking."""

    type: Literal["reranking"] = "reranking"
    max_length: int = Field(
        default=256, ge=8, le=_EVALUATION * 16, description="tokens of a query with its document; the longer is cut"
    )
    negatives: int = Field(
        default=4, ge=1, le=16, description="documents that are not relevant, read with each that is"
    )
    loss_type: Literal["softmax", "margin", "bce"] = Field(
        default="softmax",
        description="`softmax`: the relevant one among all; `margin`: ahead of each by 1; `bce`: each by itself",
    )
    candidates: int = Field(
        default=30,
        ge=2,
        le=1000,
        description="documents that are ranked for a query, its best by BM25, where the source lists none",
    )


def arrange(task: RerankingSpec, data: TaskData, seed: int) -> TaskData:
    """What the model reads of judged pairs: groups to train on, and every candidate to be ranked.

    Raises `InvalidInput` where there is nothing to compare.
    """
    return arranged(data, lambda rows: _grouped(task, rows, seed), lambda rows, role: _ranked(task, rows, role))


def _grouped(task: RerankingSpec, rows: Rows, seed: int) -> Rows:
    judged = judged_of(rows)
    groups = Miner(judged, task.mined, seed).groups(task.negatives)
    places = [(query, one) for query, document, others in groups for one in (document, *others)]
    return _pairs(replace(judged, together=1 + task.negatives), np.array(places, dtype=np.int32).reshape(-1, 2))


def _ranked(task: RerankingSpec, rows: Rows, role: str) -> Rows:
    judged = judged_of(rows)
    places = candidates(judged, task.candidates)
    if not any(judged.grades[query].get(document, 0) > 0 for query, document in places.tolist()):
        found = f"no relevant document among the {task.candidates} best by BM25 of any query"
        raise InvalidInput(role, found, "more `candidates`, or pairs that list what is to be ranked")
    return _pairs(judged, places)


def _pairs(judged: Judged, places: Any) -> Rows:
    """Rows of these queries and documents; a row's target is its own number."""
    queries, documents = judged.queries, judged.documents
    texts = tuple(queries[query] for query in places[:, 0])
    numbers = np.arange(len(places), dtype=np.int32)
    return Rows(
        texts, tuple(documents[document] for document in places[:, 1]), numbers, replace(judged, places=places)
    )  # fmt: skip


def criterion(task: RerankingSpec, _labels: tuple[str, ...]) -> Criterion:
    """The loss of groups; what measures rankings belongs to a split."""
    from workers.tasks.catalogue.reranking.lists import list_loss

    size, kind = 1 + task.negatives, task.loss_type
    return Criterion(
        "row", lambda outputs, _targets, own: list_loss(outputs, size, kind, own), no_measure, together=size
    )


def on_split(criterion: Criterion, _task: RerankingSpec, rows: Rows, _tokens: Tokens) -> Criterion:
    """The criterion of one split: of one that is ranked, rows stand for themselves."""
    from workers.tasks.catalogue.reranking.lists import ListMeasure, bm25_of_lists

    judged = judged_of(rows)
    if judged.together:
        return criterion
    return replace(
        criterion,
        together=1,
        measure=lambda: ListMeasure(judged),
        examples=len(set(judged.places[:, 0].tolist())),
        baselines={"bm25": lambda: bm25_of_lists(judged)},
    )


TASK = Task(
    name="reranking",
    summary="which documents answer a query, each read with it",
    pipeline_tag="text-ranking",
    section=RerankingSpec,
    metrics=METRICS,
    head=SEQUENCE,
    read=read,
    arrange=arrange,
    encode=encode_texts,
    criterion=criterion,
    on_split=on_split,
    rows_each=lambda task: 1 + task.negatives,
    baselines=BASELINES,
    example={
        "model": "builtin:minilm",
        "train": "builtin:pysearch",
        "max_length": 128,
        "train_rows": 300,
        "validation_rows": 60,
        "candidates": 20,
    },
)
