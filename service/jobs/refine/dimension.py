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

BYTES = 4  # of a coordinate
SEED = 8  # bytes from which the projection and the head's start are drawn again


def dimensions_of(
    step: DimensionStep, metric: str, results: Sequence[Measured], trials: Sequence[Measured]
) -> list[dict[str, Any]]:
    """For every source that the step took, and each projection with and without scales of layers: `full`, the source's
    `metric`; `curve`, mean, least and most by dimension; `d90`, the smallest that reaches `share` of `full` (None: none
    of those tried); the `bytes` of its coordinates; and `description_bytes`, those of its export, which holds head and
    scales as well, and of a seed: an upper bound on what describes the solution beside the base.
    """
    by_number = {one.number: one for one in trials}
    groups: dict[tuple[int, str, bool], list[Measured]] = defaultdict(list)
    for one in results:
        projected = str(one.config.get("refine.projection", "sparse"))
        scaled = bool(one.config.get("refine.layer_scales", True))
        groups[int(one.config["refine.of"]), projected, scaled].append(one)
    return [
        {"source": source, "projection": projected, "layer_scales": scaled, **_of(step, metric, by_number[source], own)}
        for (source, projected, scaled), own in sorted(groups.items(), key=lambda group: group[0][:2])
    ]


def _of(step: DimensionStep, metric: str, source: Measured, results: Sequence[Measured]) -> dict[str, Any]:
    groups: dict[tuple[int, float], list[Measured]] = defaultdict(list)
    for one in results:
        if metric in one.metrics:
            groups[int(one.config["refine.dimensions"]), float(one.config["refine.learning_rate"])].append(one)
    best: dict[int, list[Measured]] = {}
    for (dimension, _), own in sorted(groups.items()):
        if dimension not in best or _mean(own, metric) > _mean(best[dimension], metric):
            best[dimension] = own
    full = source.metrics[metric]
    curve = [
        {
            "dimension": dimension,
            "mean": _mean(own, metric),
            "low": min(one.metrics[metric] for one in own),
            "high": max(one.metrics[metric] for one in own),
            "seeds": len(own),
        }
        for dimension, own in best.items()
    ]
    found = next((one for one, own in best.items() if _mean(own, metric) >= step.share * full), None)
    size = None if found is None else BYTES * found
    return {
        "metric": metric,
        "full": full,
        "d90": found,
        "bytes": size,
        "description_bytes": None if found is None else _description(best[found]),
        "curve": curve,
    }


def _description(trials: Sequence[Measured]) -> int | None:
    """Bytes of the largest export, which holds all numbers that its training has found, and of its seed."""
    sizes = [one.metrics["adapter_bytes"] for one in trials if "adapter_bytes" in one.metrics]
    return int(max(sizes)) + SEED if sizes else None


def _mean(trials: Sequence[Measured], metric: str) -> float:
    return sum(one.metrics[metric] for one in trials) / len(trials)
