"""One training, several ranks."""

from __future__ import annotations

import pytest
from torch import nn

from tests.workers.real_text import loss, real_text, trained
from workers.methods.registry import method
from workers.running.ranks import at_rank, lower_ranks, measured, served


@pytest.mark.parametrize(("rank", "lower"), [(1, []), (2, [1]), (6, [1, 2, 4]), (16, [1, 2, 4, 8])])
def test_lower_ranks_are_the_powers_of_two(rank: int, lower: list[int]) -> None:
    assert lower_ranks(rank) == lower


def test_names_say_metric_and_rank() -> None:
    assert at_rank({"accuracy": 0.5}, 4) == {"accuracy_at_rank_4": 0.5}
    assert measured("accuracy_at_rank_4") == "accuracy"
    assert measured("train_seconds") == "train_seconds"


@pytest.mark.parametrize("knob", ["rank", "dylora.rank"])
def test_a_trial_shows_its_lower_ranks_and_no_cost_that_they_change(knob: str) -> None:
    config = {"method": "dylora", knob: 4, "learning_rate": 1e-3}
    metrics = {"accuracy": 0.9, "adapter_bytes": 9.0, "train_seconds": 2.0, **at_rank({"accuracy": 0.7}, 2)}
    assert list(served(config, metrics)) == [({**config, knob: 2}, {"accuracy": 0.7, "train_seconds": 2.0})]
    assert list(served({"method": "head"}, {"accuracy": 0.4})) == []


@pytest.mark.long
def test_dylora_at_its_lowest_rank_beats_a_lora_that_is_cut_to_it() -> None:
    """Rank 1 of 16 on real text, fixed seeds; the cut LoRA may choose between its own scale and that of the rank."""
    real = real_text()
    knobs = {"rank": 16, "alpha": 16, "targets": "all"}
    nested = trained(real, "dylora", steps=60, rate=3e-3, **knobs)
    serve = method("dylora").serve
    assert serve is not None
    serve(real[0], 1)
    found = loss(real, nested)
    nested.detach()
    plain = trained(real, "lora", steps=60, rate=3e-3, **knobs)
    cut = []
    for scale in (1.0, 16.0):
        for module in plain.model.modules():
            if isinstance(getattr(module, "lora_A", None), nn.ModuleDict) and "default" in module.lora_A:
                module.lora_A["default"].weight.data[1:] = 0
                module.scaling["default"] = scale
        cut.append(loss(real, plain))
    plain.detach()
    print(found, cut)
    assert found < 0.85 * min(cut)
