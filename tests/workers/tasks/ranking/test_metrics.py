"""Rankings are measured as trec_eval does: numbers worked out by hand from its definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workers.tasks.ranking.metrics import ranking_metrics, worst_order


def test_metrics_are_those_of_trec_eval() -> None:
    ranked = np.array([5, 1, 7, 2, 9])
    grades = {1: 3, 2: 1, 9: 0, 40: 2}  # 40 was not found
    best = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    found = ranking_metrics([(grades, ranked)])
    assert found == pytest.approx(
        {
            "ndcg_at_10": (3 / math.log2(3) + 1 / math.log2(5)) / best,
            "mrr_at_10": 1 / 2,
            "map": (1 / 2 + 2 / 4) / 3,
            "recall_at_10": 2 / 3,
        },
        abs=1e-4,
    )


def test_cuts_means_and_queries_without_an_answer() -> None:
    late = np.arange(20)
    found = ranking_metrics([({10: 1}, late), ({0: 1}, late), ({3: 0}, late)])
    assert found == pytest.approx({"ndcg_at_10": 0.5, "mrr_at_10": 0.5, "map": (1 / 11 + 1) / 2, "recall_at_10": 0.5})


def test_a_model_that_tells_nothing_apart_has_found_nothing() -> None:
    relevant = np.array([True, False, False, True])
    assert worst_order(np.zeros(4), relevant).tolist() == [1, 2, 0, 3]
    assert worst_order(np.array([2.0, 1.0, 3.0, 3.0]), relevant).tolist() == [2, 3, 0, 1]
