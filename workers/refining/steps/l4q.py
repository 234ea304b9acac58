"""`l4q`: a LoRA winner trained on through its quantisation (Jeon et al. 2024, L4Q, arXiv 2402.04902).

Certain: what `workers.methods.catalogue.quantised` says of the method. Choices: training goes on from the winner's
factors; steps start where rounding the winner's weights, rather than the base's, does least harm.
"""

from __future__ import annotations

import torch

from workers.assignment import Outcome
from workers.methods.attached import Attached
from workers.methods.forms.quantised import QuantisedLora, least_error_steps
from workers.refining.lora_updates import in_own_form, refuse_others
from workers.refining.retraining import retrained
from workers.refining.scene import Scene, Tensors


def l4q(scene: Scene) -> Outcome:
    """The source in whole numbers, as rounding leaves it (`rounded_…`) and after training through the rounding."""
    (source,) = scene.stored()
    refuse_others(source)
    path = scene.base.description.anatomy.layers_path

    def begin(attached: Attached) -> Tensors:
        attached.load(in_own_form(source, attached.tensors(), path))
        for layer in attached.model.modules():
            if isinstance(layer, QuantisedLora):
                _fit_steps(layer)
        return {name: value.detach().clone() for name, value in attached.tensors().items()}

    return retrained(scene, begin, "rounded")


@torch.no_grad()
def _fit_steps(layer: QuantisedLora) -> None:
    full = layer.frozen() + layer.scaling * layer.second @ layer.first
    layer.log_steps.copy_(least_error_steps(layer.grouped(full), layer.top).log())
