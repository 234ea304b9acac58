"""How well documents are ranked, as trec_eval computes it (through pytrec_eval). Imports no torch.

Means are over the queries that have a relevant document. Documents of equal scores count in the worst order: a model
that tells nothing apart has found nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from workers.data.rows import Judged
from workers.tasks.domains import domain_metric
from workers.tasks.metrics import WORST_DOMAIN, Metric

NDCG = Metric("ndcg_at_10", "quality", "maximize", "", "discounted gain of the first 10 over the best possible", high=1)
MRR = Metric("mrr_at_10", "quality", "maximize", "", "mean of 1 / place of the first relevant one of 10", high=1)
MAP = Metric("map", "quality", "maximize", "", "mean over queries of average precision", high=1)
RECALL = Metric("recall_at_10", "quality", "maximize", "", "share of relevant documents among the first 10", high=1)
CONTRAST = Metric(
    "loss",
    "quality",
    "minimize",
    "nats",
    "mean over relevant documents of their cross-entropy among the query's that are not",
)
METRICS = (NDCG, MRR, MAP, RECALL, CONTRAST)
DEPTH = 1000
"""Documents of a query that are looked at, trec_eval's own number."""
_FIRST = 10
Ranking = tuple[Mapping[int, int], NDArray[np.integer]]
"""Grades of a query's judged documents, and the documents found, best first."""


def worst_order(scores: NDArray[np.floating], relevant: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the highest scores first; of equal ones those that are not `relevant` first."""
    return np.lexsort((relevant, -scores.astype(np.float64)))[:DEPTH]


def metrics_of_queries(rankings: Iterable[tuple[int, Ranking]], judged: Judged) -> dict[str, float]:
    """The four metrics of the rankings of queries by their numbers, and where these are of domains, the first metric of
    each that has a query with a relevant document, and of the worst."""
    found = list(rankings)
    whole = ranking_metrics(ranking for _, ranking in found)
    if judged.domains is None:
        return whole
    of: dict[str, list[Ranking]] = {}
    for query, ranking in found:
        if any(grade > 0 for grade in ranking[0].values()):
            of.setdefault(judged.domains[query], []).append(ranking)
    own = {domain_metric(NDCG.name, name): ranking_metrics(of[name])[NDCG.name] for name in sorted(of)}
    return whole | own | {WORST_DOMAIN.name: min(own.values(), default=0.0)}


def ranking_metrics(rankings: Iterable[Ranking]) -> dict[str, float]:
    """The four metrics of rankings; queries without a relevant document do not count."""
    import pytrec_eval

    judged: dict[str, dict[str, int]] = {}
    whole: dict[str, dict[str, float]] = {}
    for number, (grades, found) in enumerate(rankings):
        if any(grade > 0 for grade in grades.values()):
            judged[str(number)] = {str(document): grade for document, grade in grades.items()}
            whole[str(number)] = {str(document): float(-place) for place, document in enumerate(found.tolist())}
    first = {
        query: dict(sorted(places.items(), key=lambda one: -one[1])[:_FIRST]) for query, places in whole.items()
    }  # fmt: skip
    one = pytrec_eval.RelevanceEvaluator(judged, {f"ndcg_cut.{_FIRST}", "map", f"recall.{_FIRST}"}).evaluate(whole)
    other = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(first)

    def mean(results: Mapping[str, Mapping[str, float]], name: str) -> float:
        return float(np.mean([results[query][name] for query in judged])) if judged else 0.0

    return {
        NDCG.name: mean(one, f"ndcg_cut_{_FIRST}"),
        MRR.name: mean(other, "recip_rank"),
        MAP.name: mean(one, "map"),
        RECALL.name: mean(one, f"recall_{_FIRST}"),
    }
