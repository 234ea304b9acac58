"""`role_adapters`: several low-rank adapters, each with a part of the work, that can be taken off one by one.

Certain (TryOn-Adapter's part that carries over): one frozen base, several small adapters with roles of their own,
and a tuning of attention alone. Choices: the roles are where tokens look (`where`: queries and keys), what they take
from there (`what`: values and outputs), and the feed-forward part (`features`), each with a rank of its own, none at
rank 0; garments and persons have no counterpart here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_spaces.constraints import SumAtLeast
from search_spaces.parameters import Ordinal
from search_spaces.priors import Bell
from workers.methods.declaration.knob_kinds import alpha, top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates, Tensors
from workers.methods.declaration.needs import OWN_PROJECTIONS
from workers.methods.declaration.own_method import own_method
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base

ROLES = {
    "where": frozenset({"query", "key"}),
    "what": frozenset({"value", "output"}),
    "features": frozenset({"up", "down"}),
}


def _rank(role: str) -> str:
    return f"{role}_rank"


def _knobs(model: ModelDescription) -> Knobs:
    limit = max(1, min(64, model.shape.hidden_size // 4))
    values = (0, *(2**power for power in range(7) if 2**power <= limit))
    ranks = tuple(Ordinal(_rank(role), values, prior=Bell(min(8, values[-1]), spread=0.5)) for role in ROLES)
    names = tuple(_rank(role) for role in ROLES)
    usual = dict.fromkeys(names, min(8, values[-1]))
    return Knobs((*ranks, alpha(), *top_layers(model)), constraints=(SumAtLeast(names, 1),), defaults=usual)


def _role(linear: Linear) -> str:
    return next(role for role, groups in ROLES.items() if linear.groups & groups)


def _placed(model: ModelDescription, knobs: KnobValues) -> list[tuple[int, Linear]]:
    """The linear layers whose role has an adapter, with the index of their encoder layer."""
    layers = model.layer_range(knobs["top_layers"])
    return [place for place in model.linears("all", layers) if knobs[_rank(_role(place[1]))] > 0]


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.low_rank import PlainLora
    from workers.methods.forms.reweighted import reweight

    def make(module: nn.Module, linear: Linear) -> PlainLora:
        rank = knobs[_rank(_role(linear))]
        return PlainLora(module, linear.transposed, rank, knobs["alpha"] / rank, generator)

    found = reweight(base, _placed(base.description, knobs), make)
    roles = {f"{at}.{linear.name}": _role(linear) for at, linear in base.description.linears()}
    return {f"{roles[name.rpartition('.')[0]]}.{name}": value for name, value in found.items()}


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    placed = _placed(model, knobs)
    return sum(knobs[_rank(_role(one))] * (one.in_features + one.out_features) for _, one in placed)


def _without(knobs: KnobValues, tensors: Tensors, role: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The adapter without one role; the tensors of the others are the very same."""
    rest = {name: value for name, value in tensors.items() if not name.startswith(f"{role}.")}
    return {**knobs, _rank(role): 0}, rest


METHODS = (
    own_method(
        "role_adapters",
        family="low-rank",
        summary="low-rank adapters with roles, of which each can be taken off afterwards",
        source="Xing et al. 2024, TryOn-Adapter, arXiv 2404.00878",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        needs=(OWN_PROJECTIONS,),
        roles=tuple(ROLES),
        without_role=_without,
    ),
)
