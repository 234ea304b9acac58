"""What a ready-made space needs to know of a model."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.errors import InvalidSpace

TARGET_GROUPS = ("qv", "attention", "mlp", "all")


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a transformer encoder or decoder.

    Args:
        hidden_size: width d of the residual stream.
        layers: number of transformer layers.
        intermediate_size: width of the feed-forward layer.
        heads: attention heads in a layer.
        model_type: the architecture's name in `config.json`, such as `bert`.
        targets: groups of linear layers that this architecture lets an adapter attach to, out of `qv` (query and
            value projections), `attention`, `mlp` and `all`; the first is the default.
    """

    hidden_size: int
    layers: int
    intermediate_size: int
    heads: int
    model_type: str
    targets: tuple[str, ...] = TARGET_GROUPS

    def __post_init__(self) -> None:
        for field in ("hidden_size", "layers", "intermediate_size", "heads"):
            if getattr(self, field) < 1:
                raise InvalidSpace(f"{field}: found {getattr(self, field)!r}, allowed: a whole number from 1")
        if not self.targets:
            raise InvalidSpace("targets: found none, allowed: at least one group of linear layers")
