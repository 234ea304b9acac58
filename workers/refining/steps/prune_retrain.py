"""`prune_retrain`: PERP (Zimmer et al. 2023, arXiv 2312.15230) behind a winner.

Certain: W' = M ⊙ (W + s·BA), pruned by magnitude without structure or 2:4, retrained by the update alone. Choices:
retraining goes on from the winner's factors; layers that the winner left alone begin without an update; magnitudes are
those of the base, so that the mask needs no room in the file.
"""

from __future__ import annotations

from workers.assignment import Outcome
from workers.refining.lora_updates import in_own_form, refuse_others
from workers.refining.retraining import retrained
from workers.refining.scene import Scene


def prune_retrain(scene: Scene) -> Outcome:
    """The source on the pruned base, as it is (`pruned_…`) and after retraining."""
    (source,) = scene.stored()
    refuse_others(source)
    path = scene.base.description.anatomy.layers_path
    return retrained(scene, lambda attached: in_own_form(source, attached.tensors(), path), "pruned")
