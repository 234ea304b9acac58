"""Every method on every family of models, at odd shapes: grouped keys and values, heads of their own size, narrow
embeddings, shared layers, windows.

All pairs take minutes: each run takes a covering sample, so that every family meets several methods and every method a
few families; `make test-families` (PEFTSEARCH_FAMILIES=all) takes all.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.workers.methods.test_conformance import CASES, SUITED, batches, logits, train
from tests.workers.tiny_models import BUILDERS, batch, tiny_base, tiny_description
from workers.errors import InvalidInput
from workers.methods.attached import TrainingSetup
from workers.methods.registry import method
from workers.models.loading import Base

_EVERY = 12  # one pair of so many in the sample
OLDEST = ("bert", "roberta", "distilbert", "modernbert", "gpt2", "llama")
NEW = [kind for kind in BUILDERS if kind not in OLDEST]  # the others are those of the conformance suite


def _pairs() -> list[Any]:
    found = []
    for first, kind in enumerate(NEW):
        model = tiny_description(kind)
        able = [name for name in SUITED if method(name).supports(model)]
        chosen = able if os.environ.get("PEFTSEARCH_FAMILIES") == "all" else able[first % _EVERY :: _EVERY]
        found += [pytest.param(kind, name, id=f"{kind}-{name}") for name in chosen]
    return found


@pytest.fixture(scope="module")
def bases() -> dict[str, Base]:
    return {}


def _base(bases: dict[str, Base], kind: str) -> Base:
    if kind not in bases:
        bases[kind] = tiny_base(kind)
    return bases[kind]


def knobs_of(base: Base, name: str) -> dict[str, Any]:
    """The suite's own knobs where the family's sizes admit them, else some of the method's space."""
    one = method(name)
    try:
        return one.complete(base.description, CASES[name][0])
    except InvalidInput:
        config = one.space(base.description).sample(1, np.random.default_rng(0))[0]
        own = {parameter.name for parameter in one.knobs(base.description).parameters}
        return one.complete(base.description, {key: value for key, value in config.items() if key in own})


@pytest.mark.parametrize(("kind", "name"), _pairs())
def test_a_method_keeps_its_promises_on_a_family(bases: dict[str, Base], kind: str, name: str) -> None:
    base, one = _base(bases, kind), method(name)
    body = {key: value.clone() for key, value in base.model.state_dict().items() if not key.startswith(base.head)}
    base.initialise_head(7)
    before = logits(base.model)
    knobs = knobs_of(base, name)
    attached = one.attach(base, knobs, 7, TrainingSetup(12, batches, cross_entropy))
    try:
        attached.set_training(False)
        if one.unchanged_at_start:
            torch.testing.assert_close(logits(attached.model), before, atol=1e-5, rtol=0)
        found = sum(value.numel() for value in attached.parameters().values()) - base.head_size
        assert found == one.trainable_parameters(base.description, knobs)

        held = () if name == "head" else base.head
        losses = train(attached, one.learning_rates.mode, steps=12, without=held)
        assert min(losses[-3:]) < losses[0]
        short = {key: value[:1, :6] for key, value in batch().items()}
        padded, alone = logits(attached.model)[:1], logits(attached.model, **short)
    finally:
        attached.detach()
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(base.model.state_dict()[key], value) for key, value in body.items())
