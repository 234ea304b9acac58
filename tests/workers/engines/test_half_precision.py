"""An adapter goes on a base in half precision, as most checkpoints are stored: the same answers but for rounding."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.methods.test_conformance import CASES, SUITED, attach, logits, train
from tests.workers.tiny_models import tiny_base, tiny_description, tiny_model
from workers.errors import InvalidInput
from workers.methods.attached import AdapterCard
from workers.methods.loading import load_adapter
from workers.methods.own_adapter import OwnAdapter
from workers.methods.registry import method
from workers.models.loading import Base, make_base

# Of the largest logit: rounding the weights of a layer or two, no more. What is wrong is wrong by far more.
ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 0.08, torch.float16: 0.01}
KINDS = ("bert", "gpt2", "llama")


def _rows() -> list[Any]:
    """Every method on one kind of model in one format, all nine pairs in turn, and a second format on another kind."""
    pairs = [(kind, dtype) for dtype in ROUNDING for kind in KINDS]
    rows = []
    for number, name in enumerate(SUITED):
        able = [kind for kind in KINDS if method(name).supports(tiny_description(kind))]
        for kind, dtype in (pairs[number % 9], pairs[(number + 4) % 9]):
            own = kind if kind in able else able[0]
            rows.append(pytest.param(name, own, dtype, id=f"{name}-{own}-{str(dtype).removeprefix('torch.')}"))
    return rows


def _knobs(base: Base, name: str) -> dict[str, Any]:
    """The first knobs to try that fit the sizes of the model."""
    for knobs in CASES[name]:
        try:
            method(name).complete(base.description, knobs)
        except InvalidInput:
            continue
        return knobs
    return {}


@pytest.fixture(scope="module")
def stored() -> dict[tuple[str, torch.dtype], tuple[Base, Any]]:
    """Models as a checkpoint in some format holds them: in float32 as the search loads them, and as they are."""
    found = {}
    for kind in KINDS:
        for dtype in ROUNDING:
            model = tiny_model(kind).to(dtype).eval()
            found[kind, dtype] = make_base(copy.deepcopy(model).float(), folder="tiny"), model
    return found


@pytest.mark.parametrize(("name", "kind", "dtype"), _rows())
def test_an_adapter_goes_on_a_base_in_any_format(
    stored: Any, tmp_path: Path, name: str, kind: str, dtype: torch.dtype
) -> None:
    base, model = stored[kind, dtype]
    attached, values = attach(base, name, _knobs(base, name))
    train(attached, method(name).learning_rates.mode)
    trained = logits(attached.model)
    attached.save(tmp_path, AdapterCard(name, "tiny", config=values, labels=tuple("abc")))
    attached.detach()
    reloaded = logits(load_adapter(copy.deepcopy(model), tmp_path))
    assert reloaded.dtype == dtype
    assert (reloaded.float() - trained).abs().max() < ROUNDING[dtype] * trained.abs().max()


@pytest.mark.parametrize("name", ["ssf", "svfit", "dylora"])
def test_what_folds_into_a_base_in_half_precision_keeps_its_format(name: str) -> None:
    base = make_base(tiny_model("bert").to(torch.bfloat16), folder="tiny")
    attached, _ = attach(base, name, CASES[name][0])
    attached.set_training(False)
    before = logits(attached.model)
    assert isinstance(attached, OwnAdapter)
    attached.merge()
    assert {value.dtype for value in attached.model.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(logits(attached.model), before, atol=0.05, rtol=0.05)
    attached.detach()


def test_small_changes_of_large_singular_values_are_not_rounded_away() -> None:
    """σ − σ₀ in bfloat16 would be zero for a change of a thousandth."""
    base = make_base(tiny_model("bert").to(torch.bfloat16), folder="tiny")
    attached, _ = attach(base, "svfit", {"rank": 8})
    assert {value.dtype for name, value in attached.parameters().items() if "values" in name} == {torch.float32}
    attached.detach()
    assert tiny_base("bert").model.dtype == torch.float32
