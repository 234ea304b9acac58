"""`prune_retrain`: PERP (Zimmer et al. 2023, arXiv 2312.15230) behind a winner.

Certain: W' = M ⊙ (W + s·BA), pruned by magnitude without structure or 2:4, retrained by the update, or by biases, norms
or the head alone. Choices: retraining goes on from the winner's factors, which stay as they are where something else is
retrained; layers that the winner left alone begin without an update; magnitudes are those of the base, so that the mask
needs no room in the file.
"""

from __future__ import annotations

from workers.assignment import Outcome
from workers.models.description import ModelDescription
from workers.refining.lora_updates import FIRST, PREFIX, SECOND, in_own_form, refuse_others, rest_of, scale_of
from workers.refining.retraining import retrained
from workers.refining.scene import Scene, Stored, Tensors


def prune_retrain(scene: Scene) -> Outcome:
    """The source on the pruned base, as it is (`pruned_…`) and after retraining."""
    (source,) = scene.stored()
    refuse_others(source)
    model = scene.base.description
    if scene.given.options["retrain"] != "factors":
        return retrained(scene, lambda attached: _kept(source, attached.tensors(), model), "pruned")
    path = model.anatomy.layers_path
    return retrained(scene, lambda attached: in_own_form(source, attached.tensors(), path), "pruned")


def _kept(source: Stored, fresh: Tensors, model: ModelDescription) -> Tensors:
    """The source's factors, of scale 1, as they are kept beside what is retrained, and its head."""
    scale = scale_of(source)
    found = fresh | {name.removeprefix(PREFIX): value for name, value in rest_of(source).items()}
    for layer, linear in model.linears():
        path = model.path(layer, linear.name)
        if (first := source.tensors.get(f"{PREFIX}{path}{FIRST}")) is not None:
            second = source.tensors[f"{PREFIX}{path}{SECOND}"]
            found |= {f"{path}.first": first, f"{path}.second": scale * second}
    return found
