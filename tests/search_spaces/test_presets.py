"""The ready-made spaces."""

from __future__ import annotations

import json

import numpy as np
import pytest

from search_spaces.presets import ModelShape, preset, preset_names
from search_spaces.presets.autopeft import sizes
from search_spaces.presets.reference import reference_configs
from search_spaces.space import Space

SHAPES = [
    ModelShape(384, 6, 1536, 12, "bert"),
    ModelShape(768, 12, 3072, 12, "roberta"),
    ModelShape(16, 1, 32, 2, "gpt2", targets=("attention", "all")),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.model_type)
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_samples_encodes_and_survives_json(name: str, shape: ModelShape) -> None:
    space = preset(name, shape)
    configs = space.sample(200, np.random.default_rng(0))
    for config in [*configs, space.default]:
        space.validate(config)
    assert space.decode(space.encode(configs).values) == configs
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_autopeft_sizes_are_the_published_ones_for_bert_base() -> None:
    assert sizes(768) == (0, 1, 3, 6, 12, 24, 48, 96, 192, 384, 768)


def test_autopeft_leaves_out_only_the_configurations_that_train_nothing() -> None:
    space = preset("autopeft", ModelShape(768, 12, 3072, 12, "bert")).freeze("learning_rate", 5e-4)
    assert space.count() == (2**12 - 1) * (11**3 - 1)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.model_type)
def test_the_literature_default_is_in_the_lora_space(shape: ModelShape) -> None:
    head, lora = reference_configs(shape)
    assert head[1]["method"] == "head"
    preset("lora", shape).validate(lora[1])
