"""`compress`: ComPEFT (Yadav et al. 2023, arXiv 2311.13171).

Certain: τ̃ = α · σ(τ) · sgn(τ ⊙ top-k), with α chosen on validation rows. Choices: besides σ and the largest k of the
whole vector, as published, those of each tensor by itself are tried, as factors and head of an adapter change by
different amounts; whichever is better on the validation rows is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workers.assignment import Outcome
from workers.methods.compressed import Compressed, change_from, start_tensors
from workers.methods.ternary_file import Recipe, TernaryChange, changing, start_of
from workers.refining.retraining import beside
from workers.refining.scene import Quality, Scene, Tensors

HALF = 2  # bytes of a number in the adapter that sizes are compared with


def compress(scene: Scene) -> Outcome:
    """The source at one share of kept entries, with the scale that is best on the validation rows."""
    (source,), keep = scene.stored(), scene.given.options["keep"]
    fresh = start_tensors(scene.base, source.method, source.knobs, source.seed)
    change = change_from(fresh, source.tensors)
    with scene.attached(source.seed) as attached:
        with scene.measuring(attached) as measured:
            before = measured(source.tensors)
            tried = [
                _Tried(scale, scope, coded, measured(coded.applied(fresh)))
                for scope in SCOPES
                for scale, coded in candidates(change, fresh, keep, scene.given.options["scales"], scope)
            ]
            best = min(tried, key=lambda one: scene.loss(one.quality))
            scene.put(attached, best.change.applied(fresh))
        recipe = Recipe(
            source.method,
            source.knobs,
            source.seed,
            scene.base.head,
            scene.base.kind.key,
            len(scene.prepared.data.tokens.labels),
        )
        told = beside("uncompressed", before) | {"scale": best.scale, "half_bytes": half_bytes(fresh)}
        told |= {"by_tensor": float(best.scope == "tensor")}
        stored = Compressed(attached, best.change, recipe, scene.base.model.config.pad_token_id)
        return scene.outcome(attached, best.quality | told, stored.save)


@dataclass(frozen=True)
class _Tried:
    scale: float
    scope: str
    change: TernaryChange
    quality: Quality


SCOPES = ("vector", "tensor")


def candidates(
    change: Tensor, fresh: Tensors, keep: float, scales: tuple[float, ...], scope: str
) -> Iterator[tuple[float, TernaryChange]]:
    """The change τ [entries] at every scale α; σ and the kept entries are of the whole vector or of each tensor."""
    parts = change.split([value.numel() for value in changing(fresh).values()])
    if scope == "vector":
        signs, deviations = largest_signs(change, keep), [float(change.std())] * len(parts)
    else:
        signs = torch.cat([largest_signs(part, keep) for part in parts])
        deviations = [float(part.std(correction=0)) for part in parts]
    start, coded = start_of(fresh), signs.numpy()
    for scale in scales:
        yield scale, TernaryChange(coded, np.array([scale * one for one in deviations], dtype=np.float32), start)


def largest_signs(change: Tensor, keep: float) -> Tensor:
    """sgn(τ ⊙ top-k) [entries] as int8, with k = `keep` of all entries; entries that did not change stay zero."""
    count = round(keep * change.numel())
    kept = change.abs().topk(count).indices
    return torch.zeros(change.numel(), dtype=torch.int8).index_copy_(0, kept, change[kept].sign().to(torch.int8))


def half_bytes(tensors: Tensors) -> float:
    """Bytes of the numbers of an adapter in half precision."""
    return float(HALF * sum(value.numel() for value in changing(tensors).values()))
