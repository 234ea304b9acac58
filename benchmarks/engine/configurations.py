"""The trials that are timed: layers, ranks, methods and batch sizes, each expressible in Hugging Face peft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LAYERS = 6  # of builtin:minilm


@dataclass(frozen=True)
class Configuration:
    """One trial. `upper` marks those whose adapters sit in the upper third of the layers."""

    label: str
    method: str
    knobs: dict[str, Any]
    batch_size: int = 16

    @property
    def upper(self) -> bool:
        """Whether only the upper third of the layers is trained."""
        return int(self.knobs.get("top_layers", LAYERS)) <= LAYERS // 3

    def config(self) -> dict[str, Any]:
        """The trial's configuration as a worker takes it."""
        return {"method": self.method, "learning_rate": 1e-3, "batch_size": self.batch_size, **self.knobs}


def _lora(label: str, batch_size: int, **knobs: Any) -> Configuration:
    return Configuration(label, "lora", {"alpha": 16, **knobs}, batch_size)


CONFIGURATIONS = (
    _lora("lora r8 qv, top 1", 16, rank=8, targets="qv", top_layers=1),
    _lora("lora r8 all, top 1", 32, rank=8, targets="all", top_layers=1),
    _lora("lora r8 qv, top 2", 16, rank=8, targets="qv", top_layers=2),
    _lora("lora r32 all, top 2", 8, rank=32, targets="all", top_layers=2, dropout=0.1),
    Configuration("dora r8 qv, top 2", "dora", {"rank": 8, "alpha": 16, "targets": "qv", "top_layers": 2}),
    Configuration("ln_tuning, top 2", "ln_tuning", {"top_layers": 2}),
    _lora("lora r8 qv, top 3", 16, rank=8, targets="qv", top_layers=3),
    _lora("lora r16 attention, top 4", 32, rank=16, targets="attention", top_layers=4),
    Configuration("ia3, top 3", "ia3", {"top_layers": 3}),
    _lora("lora r8 qv, all layers", 16, rank=8, targets="qv"),
    _lora("lora r16 all, all layers", 16, rank=16, targets="all", dropout=0.1),
    _lora("lora r4 qv, all layers", 8, rank=4, targets="qv"),
)
HEAD_ONLY = Configuration("head only", "head", {})
