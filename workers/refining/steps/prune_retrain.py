"""`prune_retrain`: PERP (Zimmer et al. 2023, arXiv 2312.15230) behind a winner.

Certain: W' = M ⊙ (W + s·BA), pruned by magnitude without structure or 2:4, retrained by the update alone. Choices:
retraining goes on from the winner's factors; layers that the winner left alone begin without an update; magnitudes are
those of the base, so that the mask needs no room in the file.
"""

from __future__ import annotations

from math import sqrt

from workers.assignment import Outcome
from workers.methods.attached import Attached
from workers.refining.lora_updates import FIRST, SECOND, rest_of, updates_of
from workers.refining.scene import Scene, Stored, Tensors
from workers.running.label_unit import from_label_unit
from workers.running.trial import train_prepared

_PREFIX = "base_model.model."  # of names in peft's files


def prune_retrain(scene: Scene) -> Outcome:
    """The source on the pruned base, as it is (`pruned_…`) and after retraining."""
    (source,) = scene.stored()
    updates_of(source)  # refuses other methods
    with scene.attached(scene.given.seed) as attached, scene.measuring(attached) as measured:
        before = measured(_started(scene, attached, source))

    def start(trained: Attached) -> None:
        trained.load(_started(scene, trained, source))
        from_label_unit(trained, scene.prepared.data.train.criterion.unit)

    outcome = train_prepared(scene.prepared, scene.workbench, scene.on_report, start)
    told = {f"pruned_{name}": value for name, value in before.items()}
    return outcome.model_copy(update={"metrics": outcome.metrics | told})


def _started(scene: Scene, attached: Attached, source: Stored) -> Tensors:
    """The tensors of a masked LoRA that carries the source's update and head."""
    rank, alpha = source.knobs["rank"], source.knobs["alpha"]
    scale = alpha / (sqrt(rank) if source.knobs["use_rslora"] else rank)
    found = dict(attached.tensors())
    for name, value in source.tensors.items():
        layer = name.removeprefix(f"{_PREFIX}{scene.base.description.anatomy.layers_path}.")
        if name.endswith(FIRST):
            found[layer.removesuffix(FIRST) + ".first"] = value
        elif name.endswith(SECOND):
            found[layer.removesuffix(SECOND) + ".second"] = scale * value
    return found | {name.removeprefix(_PREFIX): value for name, value in rest_of(source).items()}
