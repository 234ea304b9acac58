"""The intrinsic dimension that a `d90` step has measured (Li et al. 2018, arXiv 1804.08838; Aghajanyan et al. 2021).

Certain: the smallest dimension of a random subspace in which training reaches 90 % of what it reaches without.
Choice: the mean over the subspaces of a dimension has to, at the best of the rates that were tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from service.jobs.plan import Measured
from workers.refining.sections.dimension import DimensionStep

BYTES = 4  # of a coordinate: with a seed they are all that a subspace's training has found


def dimensions_of(
    step: DimensionStep, metric: str, results: Sequence[Measured], trials: Sequence[Measured]
) -> list[dict[str, Any]]:
    """For every source that the step took: `full`, the source's `metric`; `curve`, mean, least and most by dimension;
    `d90`, the smallest that reaches `share` of `full` (None: none of those tried), and the `bytes` of its coordinates.
    """
    by_number = {one.number: one for one in trials}
    sources = sorted({int(one.config["refine.of"]) for one in results})
    return [_of(step, metric, by_number[number], results) for number in sources]


def _of(step: DimensionStep, metric: str, source: Measured, results: Sequence[Measured]) -> dict[str, Any]:
    groups: dict[tuple[int, float], list[float]] = defaultdict(list)
    for one in results:
        if int(one.config["refine.of"]) == source.number and metric in one.metrics:
            key = int(one.config["refine.dimensions"]), float(one.config["refine.learning_rate"])
            groups[key].append(one.metrics[metric])
    best: dict[int, list[float]] = {}
    for (dimension, _), values in sorted(groups.items()):
        if dimension not in best or _mean(values) > _mean(best[dimension]):
            best[dimension] = values
    full = source.metrics[metric]
    curve = [
        {"dimension": one, "mean": _mean(values), "low": min(values), "high": max(values), "seeds": len(values)}
        for one, values in best.items()
    ]
    found = next((one for one, values in best.items() if _mean(values) >= step.share * full), None)
    size = None if found is None else BYTES * found
    return {"source": source.number, "metric": metric, "full": full, "d90": found, "bytes": size, "curve": curve}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
