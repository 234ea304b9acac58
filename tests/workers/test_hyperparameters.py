"""Configuration splitting."""

from __future__ import annotations

import pytest

from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters, split_config


def test_config_splits_with_and_without_prefix() -> None:
    plain = {"method": "lora", "rank": 4, "learning_rate": 1e-3, "schedule": "cosine"}
    prefixed = {"method": "lora", "lora.rank": 4, "lora.learning_rate": 1e-3, "schedule": "cosine"}
    assert split_config(plain) == split_config(prefixed)
    assert split_config(plain) == ("lora", {"rank": 4}, Hyperparameters(learning_rate=1e-3, schedule="cosine"))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"learning_rate": 1e-3}, "method"),
        ({"method": "head", "learning_rate": 0}, "learning_rate"),
        ({"method": "head", "schedule": "step"}, "schedule"),
        ({"method": "head", "batch_size": 0}, "batch_size"),
    ],
)
def test_bad_configurations_name_the_field(config: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split_config(config)
    assert caught.value.field == field
