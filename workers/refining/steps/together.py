"""`scalearn`, `compose` and `experts`: winners side by side, and something trained that says how much each counts; and
`stack`: winners as they are, each counting in full, under a LoRA that is trained.

Their factors stay as they are in `scalearn` (Frohmann et al. 2023, arXiv 2310.01217) and `compose` (after PSEC, Liu et
al. 2025, arXiv 2502.05932); in `experts` they begin a mixture that trains as a whole (after BAM, Zhang et al. 2024,
arXiv 2408.08274, whose experts begin as dense models). Choice: heads begin as the winners' mean, or afresh.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from workers.assignment import Outcome
from workers.methods.attached import Attached
from workers.refining.heads import with_fresh_head
from workers.refining.lora_updates import PREFIX, mean_of, padded_factors, rest_of
from workers.refining.retraining import retrained
from workers.refining.scene import Scene, Stored, Tensors


def put_together(scene: Scene) -> Outcome:
    """All sources in one; `together_…` is the quality of the beginning, where each counts the same."""
    stored = scene.stored()
    return retrained(scene, lambda attached: _side_by_side(scene, stored, attached.tensors()), "together")


def experts(scene: Scene) -> Outcome:
    """A mixture whose experts begin as the sources, in turn, or afresh; `start_…` is the quality of the beginning."""
    stored = scene.stored()

    def begin(attached: Attached) -> Tensors:
        fresh = {name: value.detach().clone() for name, value in attached.tensors().items()}
        return fresh if scene.given.options["start"] == "afresh" else _as_experts(scene, stored, fresh)

    return retrained(scene, begin, "start")


def stack(scene: Scene) -> Outcome:
    """A LoRA on top of all sources, or by itself; `start_…` is the quality of the beginning."""
    stored = scene.stored()

    def begin(attached: Attached) -> Tensors:
        fresh = {name: value.detach().clone() for name, value in attached.tensors().items()}
        return fresh if scene.given.options["under"] == "nothing" else _side_by_side(scene, stored, fresh)

    return retrained(scene, begin, "start")


def _side_by_side(scene: Scene, stored: Sequence[Stored], fresh: Tensors) -> Tensors:
    found = dict(fresh)
    for layer, factors in padded_factors(stored, scene.prepared.knobs["rank"]).items():
        for name, value in zip(("first", "second"), factors, strict=True):
            found[f"{layer.removeprefix(PREFIX)}.{name}"] = value
    return found | _heads(scene, stored, fresh)


def _as_experts(scene: Scene, stored: Sequence[Stored], fresh: Tensors) -> Tensors:
    """Expert e begins as source e modulo their number, of scale 1; routers begin afresh."""
    found, path = dict(fresh), f"{PREFIX}{scene.base.description.anatomy.layers_path}."
    for name in [name for name in fresh if name.endswith(".second")]:
        found[name] = torch.zeros_like(fresh[name])
    for layer, (first, second) in padded_factors(stored, scene.prepared.knobs["rank"]).items():
        name = layer.removeprefix(path)
        turns = torch.arange(len(fresh[f"{name}.first"])) % len(stored)
        found |= {f"{name}.first": first[turns], f"{name}.second": second.transpose(1, 2)[turns]}
    return found | _heads(scene, stored, fresh)


def _heads(scene: Scene, stored: Sequence[Stored], fresh: Tensors) -> Tensors:
    mean = {name.removeprefix(PREFIX): value for name, value in mean_of([rest_of(one) for one in stored]).items()}
    if scene.given.options["head"] == "kept":
        return mean
    return with_fresh_head(scene.base, mean, fresh)
