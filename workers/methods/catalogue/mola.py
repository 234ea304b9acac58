"""`mola`: low-rank experts on every weight, more of them in some layers than in others, and a router for each token.

Certain: experts are LoRA modules, a router gives each token its top k with softmax weights, the number of experts
differs between the quarters of the model, and a load-balancing loss (that of Switch Transformers) keeps all in use.
Which quarter needs more is open (the two versions of the paper disagree), so it is a knob. Choices: in the top layer,
where encoders read the first token only, the balance of layers that work on tokens one by one counts that token alone.

With `router: gru` a layer's experts are chosen from a state that goes up through the layers token by token (Qiu et al.
2024, RMoE, arXiv 2408.06793). Certain: a projection for each layer, one GRU shared by all of them, a linear map from
its state to the experts. Choices: weights of the same name (all queries, say) share a GRU, since each has experts of
its own here; the state is zero below the lowest adapted layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Float, Int, Ordinal
from search_spaces.priors import Bell
from workers.methods.declaration.expert_counts import EXPERT_COUNTS, experts_of
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import KNOWN_PARTS, TOKENS_ALONE
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.methods.forms.lora_experts import LinearRouter, RecurrentRouter
    from workers.models.loading import Base

_RECURRENT = "gru"


def _knobs(model: ModelDescription) -> Knobs:
    own = (rank(model, high=16, mode=8), Categorical("experts", EXPERT_COUNTS), Int("top_k", 1, 2))
    balance = Float("balance", 1e-4, 0.1, scale="log")
    routing = (
        Categorical("router", ("linear", _RECURRENT)),
        Ordinal("router_size", (8, 16, 32, 64, 128), prior=Bell(32, spread=0.4)),
    )
    return Knobs(
        (*own, balance, *routing, alpha(), *placement(model)),
        conditions=(Condition("router_size", "router", (_RECURRENT,)),),
        defaults={"top_k": 2, "balance": 1e-2, "router": "linear", "router_size": 32},
    )


def _experts(model: ModelDescription, layer: int, knobs: KnobValues) -> int:
    """How many experts the weights of a layer have, lowest quarter of the model first."""
    return experts_of(knobs["experts"], layer, model.anatomy.layers)


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.lora_experts import LoraExperts, RealTokens
    from workers.methods.own_adapter import set_submodule

    model, tokens, routers = base.description, RealTokens(), _Routers(knobs, generator)
    trained: dict[str, nn.Parameter] = {}
    known: set[int] = set()
    base.model.register_forward_pre_hook(tokens, with_kwargs=True)
    for layer, linear in placed(model, knobs):
        path, experts = model.path(layer, linear.name), _experts(model, layer, knobs)
        sizes = (experts, knobs["rank"], linear.in_features, linear.out_features)
        scale, original = knobs["alpha"] / knobs["rank"], base.model.get_submodule(path)
        first, router = _reads_first_token(model, layer, linear), routers.of(linear, experts)
        module = LoraExperts(original, sizes, scale, knobs["top_k"], tokens, first, router, generator)
        set_submodule(base.model, path, module.to(base.model.device))
        for name, value in module.trained().items():
            if id(value) not in known:  # layers share a GRU: it is named after the first
                known.add(id(value))
                trained[f"{layer}.{linear.name}.{name}"] = value
    return trained


class _Routers:
    """Makes the routers of an installation, lowest layer first: recurrent ones know the one below of their name."""

    def __init__(self, knobs: KnobValues, generator: torch.Generator) -> None:
        # Adapter files of before there was a choice do not name it.
        self._size = int(knobs["router_size"]) if knobs.get("router") == _RECURRENT else 0
        self._generator = generator
        self._highest: dict[str, RecurrentRouter] = {}

    def of(self, linear: Linear, experts: int) -> LinearRouter | RecurrentRouter:
        """The router of the next layer's weights of this name."""
        from workers.methods.forms.lora_experts import LinearRouter, RecurrentRouter, recurrent_cell

        if not self._size:
            return LinearRouter(experts, linear.in_features, self._generator)
        below = self._highest.get(linear.name)
        cell = recurrent_cell(self._size, self._generator) if below is None else below.cell
        self._highest[linear.name] = RecurrentRouter(experts, linear.in_features, cell, below, self._generator)
        return self._highest[linear.name]


def _reads_first_token(model: ModelDescription, layer: int, linear: Linear) -> bool:
    top = layer == model.anatomy.layers - 1
    return top and not model.anatomy.causal and not linear.groups & {"key", "value"}


def _balance(base: Base, knobs: KnobValues) -> Tensor:
    import torch

    from workers.methods.forms.lora_experts import LoraExperts

    loads = [module.load for module in base.model.modules() if isinstance(module, LoraExperts)]
    return torch.stack([load for load in loads if load is not None]).mean() * float(knobs["balance"])


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """A, B and one row of the router for each expert; recurrent routers have projections and GRUs besides."""
    places, size = placed(model, knobs), int(knobs.get("router_size", 0))
    factors = sum(_experts(model, layer, knobs) * two_factors(linear, knobs) for layer, linear in places)
    if not size:
        return factors + sum(_experts(model, layer, knobs) * linear.in_features for layer, linear in places)
    cells = len({linear.name for _, linear in places}) * 6 * size * (size + 1)
    routers = sum(size * (_experts(model, layer, knobs) + linear.in_features) for layer, linear in places)
    return factors + cells + routers


METHODS = (
    own_method(
        "mola",
        family="low-rank",
        summary="routed low-rank experts, their number differing between layers",
        source="Gao et al. 2024, MoLA, arXiv 2402.08562",
        learning_rates=LearningRates(5e-5, 1e-2, 5e-4),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        hooks=OwnHooks(auxiliary_loss=_balance),
        needs=(TOKENS_ALONE, KNOWN_PARTS),
        mergeable=False,
        whole_rows=True,  # its experts' load is that of the tokens that the mask calls real
    ),
)
