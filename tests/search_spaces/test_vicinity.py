"""What is left of a space round a configuration."""

from __future__ import annotations

import numpy as np
import pytest

from search_spaces.conditions import Condition
from search_spaces.editing import apply_overrides
from search_spaces.parameters import Categorical, Float, Int, Ordinal, Simplex
from search_spaces.presets import ModelShape, preset, preset_names
from search_spaces.space import Space
from search_spaces.vicinity import vicinity

TREE = Space(
    (
        Categorical("method", ("lora", "adapter")),
        Int("rank", 1, 64, "log"),
        Float("rate", 1e-5, 1e-1, "log"),
        Ordinal("size", (4, 8, 16, 32)),
        Simplex("mix", ("a", "b")),
    ),
    (Condition("rank", "method", ("lora",)), Condition("size", "method", ("adapter",))),
)


def test_numbers_keep_an_eighth_to_each_side_choices_themselves_and_ordinals_their_neighbours() -> None:
    found = vicinity(TREE, {"method": "lora", "rank": 8, "rate": 1e-3, "mix": [0.5, 0.5]})
    assert found["method"] == {"value": "lora"}
    assert (found["rank"]["low"], found["rank"]["high"]) == (5, 14)
    assert found["rate"] == {"low": 0.000316, "high": 0.00316}
    assert "mix" not in found
    assert vicinity(TREE, {"rate": 1e-1})["rate"]["high"] == 1e-1
    assert vicinity(TREE, {"method": "adapter", "size": 8})["size"] == {"values": [4, 8, 16]}
    assert vicinity(TREE, {"method": "adapter", "size": 32})["size"] == {"values": [16, 32]}


def test_what_the_space_does_not_allow_narrows_nothing() -> None:
    assert vicinity(TREE, {"rank": 1000, "colour": "red"}) == {}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_has_a_vicinity_that_holds_its_middle_and_little_else(name: str) -> None:
    space = preset(name, ModelShape(384, 6, 1536, 12, "bert"))
    configs = space.sample(20, np.random.default_rng(0))
    for config in configs[:5]:
        near = apply_overrides(space, vicinity(space, config))
        assert near.contains(config)
        assert sum(near.contains(other) for other in configs) < len(configs)
