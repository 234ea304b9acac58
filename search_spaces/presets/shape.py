"""The sizes of a model that ready-made spaces are scaled with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelShape:
    """`hidden_size`, `intermediate_size` in features, `layers` and `heads` as counts, `model_type` as in `config.json`,
    `targets` the groups of linear layers that an adapter can be put on."""

    hidden_size: int
    layers: int
    intermediate_size: int
    heads: int
    model_type: str
    targets: tuple[str, ...]
