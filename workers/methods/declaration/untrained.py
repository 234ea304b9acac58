"""`base`: a model as it is, and `bm25`: no model at all. What every training must beat.

Neither is a method that is searched; their trials are as others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates, Method

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base


def _attach(base: Base, knobs: KnobValues, seed: int, _setup: TrainingSetup | None) -> Attached:
    from workers.methods.own_adapter import OwnAdapter

    return OwnAdapter(base, BASE.name, knobs, seed, lowest_layer=0, install=_nothing)


def _nothing(_base: Base, _generator: torch.Generator) -> dict[str, nn.Parameter]:
    return {}


BASE = Method(
    name="base",
    family="none",
    summary="the model as it is, untrained",
    source="the reference every training must beat",
    learning_rates=LearningRates(1e-4, 1e-3, 5e-4),
    knobs=lambda _model: Knobs(),
    trainable_parameters=lambda _model, _knobs: 0,
    attach=_attach,
    mergeable=True,
    format="peftsearch",
)

BM25 = replace(
    BASE,
    name="bm25",
    summary="documents ranked by the words that they share with a query; no model takes part",
    source="Robertson et al. 1994 (Okapi at TREC-3), weighted as in Lucene",
    baseline=True,
)
UNTRAINED = {one.name: one for one in (BASE, BM25)}
