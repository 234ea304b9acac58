"""`mola`: low-rank experts on every weight, more of them in some layers than in others, and a router for each token.

Certain: experts are LoRA modules, a router gives each token its top k with softmax weights, the number of experts
differs between the quarters of the model, and a load-balancing loss (that of Switch Transformers) keeps all in use.
Which quarter needs more is open (the two versions of the paper disagree), so it is a knob. Choices: in the top layer,
where encoders read the first token only, the balance of layers that work on tokens one by one counts that token alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Float, Int
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

    from workers.models.loading import Base

_QUARTERS = ("5-5-5-5", "2-4-6-8", "8-6-4-2", "8-2-2-8", "2-8-8-2")


def _knobs(model: ModelDescription) -> Knobs:
    own = (rank(model, high=16, mode=8), Categorical("experts", _QUARTERS), Int("top_k", 1, 2))
    balance = Float("balance", 1e-4, 0.1, scale="log")
    return Knobs((*own, balance, alpha(), *placement(model)), defaults={"top_k": 2, "balance": 1e-2})


def _experts(model: ModelDescription, layer: int, knobs: KnobValues) -> int:
    """How many experts the weights of a layer have, lowest quarter of the model first."""
    return int(knobs["experts"].split("-")[4 * layer // model.anatomy.layers])


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.lora_experts import LoraExperts, RealTokens
    from workers.methods.own_adapter import set_submodule

    model, tokens = base.description, RealTokens()
    trained: dict[str, nn.Parameter] = {}
    base.model.register_forward_pre_hook(tokens, with_kwargs=True)
    for layer, linear in placed(model, knobs):
        path = model.path(layer, linear.name)
        sizes = (_experts(model, layer, knobs), knobs["rank"], linear.in_features, linear.out_features)
        scale, original = knobs["alpha"] / knobs["rank"], base.model.get_submodule(path)
        first = _reads_first_token(model, layer, linear)
        module = LoraExperts(original, sizes, scale, knobs["top_k"], tokens, first, generator).to(base.model.device)
        set_submodule(base.model, path, module)
        own = {"router": module.router, "first": module.first, "second": module.second}
        trained |= {f"{layer}.{linear.name}.{name}": value for name, value in own.items()}
    return trained


def _reads_first_token(model: ModelDescription, layer: int, linear: Linear) -> bool:
    top = layer == model.anatomy.layers - 1
    return top and not model.anatomy.causal and not linear.groups & {"key", "value"}


def _balance(base: Base, knobs: KnobValues) -> Tensor:
    import torch

    from workers.methods.forms.lora_experts import LoraExperts

    loads = [module.load for module in base.model.modules() if isinstance(module, LoraExperts)]
    return torch.stack([load for load in loads if load is not None]).mean() * float(knobs["balance"])


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """A, B and one row of the router for each expert."""
    return sum(
        _experts(model, layer, knobs) * (two_factors(linear, knobs) + linear.in_features)
        for layer, linear in placed(model, knobs)
    )


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
    ),
)
