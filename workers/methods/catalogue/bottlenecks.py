"""Bottleneck adapters one by one: `adapter_pfeiffer`, `adapter_houlsby`, `adapter_parallel`, `mam`, `compacter`.

All are the identity at the start (except MAM, whose prefixes are not). None merges: there is a nonlinearity between the
two matrices. Certain: placement and equations; a choice: one bottleneck size for all active layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.constraints import Divides
from search_spaces.parameters import Categorical, Int, Ordinal
from search_spaces.presets.autopeft import sizes
from workers.methods.declaration.knob_kinds import top_layers
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.module_rates import LEARNED, PARALLEL_SCALE, module_rate
from workers.methods.declaration.needs import SHARED_ATTENTION, SUBLAYERS
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

_RATES = LearningRates(5e-5, 2e-3, 8e-4)
_ACTIVATIONS = ("relu", "gelu", "tanh", "none")
_PLACES = ("mlp", "attention", "both")


def _size(model: ModelDescription) -> Ordinal:
    return Ordinal("size", sizes(model.shape.hidden_size)[1:])


def _activation() -> Categorical:
    return Categorical("activation", _ACTIVATIONS)


def _scale() -> Categorical:
    return Categorical("scale", (PARALLEL_SCALE, 1.0, 2.0, LEARNED))


def _serial_knobs(model: ModelDescription) -> Knobs:
    return Knobs((_size(model), _activation(), *top_layers(model)))


def _parallel_knobs(model: ModelDescription) -> Knobs:
    return Knobs((_size(model), Categorical("beside", _PLACES), _scale(), _activation(), *top_layers(model)))


def _mam_knobs(model: ModelDescription) -> Knobs:
    own = (_size(model), _scale(), _activation(), Int("prefix_length", 1, 64, scale="log"))
    return Knobs((*own, *top_layers(model)))


def _compacter_knobs(model: ModelDescription) -> Knobs:
    hidden = model.shape.hidden_size
    orders = tuple(n for n in (2, 3, 4, 6, 8, 12) if hidden % n == 0)
    own = (Ordinal("size", tuple(n for n in (8, 12, 16, 24, 32, 48, 64, 96) if n <= hidden)), Ordinal("order", orders))
    return Knobs((*own, *top_layers(model)), constraints=(Divides("order", "size"),), defaults={"size": 24, "order": 2})


def _one(model: ModelDescription, knobs: KnobValues) -> int:
    """Parameters of one bottleneck: two matrices, two biases, and the scale where it is learned."""
    size, hidden = int(knobs["size"]), model.shape.hidden_size
    return 2 * hidden * size + size + hidden + (knobs.get("scale") == LEARNED)


def _parallel_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    adapters = 2 if knobs["beside"] == "both" else 1
    return int(knobs["top_layers"] * adapters * _one(model, knobs))


def _mam_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    prefix = 2 * model.anatomy.key_value_heads * model.anatomy.head_size * knobs["prefix_length"]
    return int(knobs["top_layers"] * (_one(model, knobs) + prefix))


def _compacter_parameters(model: ModelDescription, knobs: KnobValues) -> int:
    """The shared rules, and for every layer two pairs of vectors for each rule and two biases."""
    order, both = knobs["order"], model.shape.hidden_size + knobs["size"]
    return int(order**3 + knobs["top_layers"] * 3 * both)


def _install(base: Base, knobs: KnobValues, generator: torch.Generator, **modules: int) -> dict[str, nn.Parameter]:
    from workers.methods.forms.mixed_adapters import MixedAdapters

    layers = tuple(base.description.layer_range(knobs["top_layers"]))
    adapters = MixedAdapters(layers, **modules, scale=knobs.get("scale", 1.0), activation=knobs["activation"])
    return adapters.install(base, generator)


def _install_pfeiffer(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    return _install(base, knobs, generator, serial=knobs["size"])


def _install_houlsby(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    return _install(base, knobs, generator, serial=knobs["size"], attention_serial=knobs["size"])


def _install_parallel(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    sizes = {
        "parallel": 0 if knobs["beside"] == "attention" else knobs["size"],
        "attention_parallel": 0 if knobs["beside"] == "mlp" else knobs["size"],
    }
    return _install(base, knobs, generator, **sizes)


def _install_mam(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    return _install(base, knobs, generator, parallel=knobs["size"], prefix=knobs["prefix_length"])


def _rate_factor(name: str, knobs: KnobValues) -> float:
    return module_rate(name, int(knobs["size"]), knobs.get("scale", 1.0))


def _install_compacter(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch
    from torch import nn

    from workers.methods.forms.bottleneck import HypercomplexBottleneck, adapt_feed_forward

    parts, order = base.description.anatomy, knobs["order"]
    drawn = torch.empty(order, order, order).normal_(0.0, order**-0.5, generator=generator)
    rules = nn.Parameter(drawn.to(base.model.device))
    trained = {"rules": rules}
    for index in base.description.layer_range(knobs["top_layers"]):
        adapter = HypercomplexBottleneck(parts.hidden_size, knobs["size"], rules, generator).to(base.model.device)
        adapt_feed_forward(parts, base.model.get_submodule(f"{parts.layers_path}.{index}"), adapter, None)
        trained |= {f"{index}.{name}": value for name, value in adapter.named_parameters() if name != "rules"}
    return trained


_HOOKS = OwnHooks(rate_factor=_rate_factor)

METHODS = (
    own_method(
        "adapter_pfeiffer",
        family="adapter",
        summary="a serial bottleneck behind the feed-forward part",
        source="Pfeiffer et al. 2021, arXiv 2005.00247",
        learning_rates=_RATES,
        knobs=_serial_knobs,
        install=_install_pfeiffer,
        trainable_parameters=lambda model, knobs: knobs["top_layers"] * _one(model, knobs),
        hooks=_HOOKS,
        mergeable=False,
        needs=(SUBLAYERS,),
        forms=("serial",),
    ),
    own_method(
        "adapter_houlsby",
        family="adapter",
        summary="serial bottlenecks behind attention and feed-forward part",
        source="Houlsby et al. 2019, arXiv 1902.00751",
        learning_rates=_RATES,
        knobs=_serial_knobs,
        install=_install_houlsby,
        trainable_parameters=lambda model, knobs: 2 * knobs["top_layers"] * _one(model, knobs),
        hooks=_HOOKS,
        mergeable=False,
        needs=(SUBLAYERS,),
        forms=("serial",),
    ),
    own_method(
        "adapter_parallel",
        family="adapter",
        summary="scaled bottlenecks beside the feed-forward part, the attention or both",
        source="He et al. 2022, arXiv 2110.04366",
        learning_rates=_RATES,
        knobs=_parallel_knobs,
        install=_install_parallel,
        trainable_parameters=_parallel_parameters,
        hooks=_HOOKS,
        mergeable=False,
        needs=(SUBLAYERS,),
        forms=("parallel",),
    ),
    own_method(
        "mam",
        family="adapter",
        summary="prefixes in attention and scaled bottlenecks beside the feed-forward part",
        source="He et al. 2022, MAM adapter, arXiv 2110.04366",
        learning_rates=_RATES,
        knobs=_mam_knobs,
        install=_install_mam,
        trainable_parameters=_mam_parameters,
        hooks=_HOOKS,
        mergeable=False,
        unchanged_at_start=False,
        needs=(SUBLAYERS, SHARED_ATTENTION),
        forms=("parallel", "prefix"),
    ),
    own_method(
        "compacter",
        family="adapter",
        summary="a serial bottleneck of hypercomplex products with shared rules",
        source="Karimi Mahabadi et al. 2021, Compacter, arXiv 2106.04647",
        learning_rates=LearningRates(2e-4, 3e-2, 3e-3),
        knobs=_compacter_knobs,
        install=_install_compacter,
        trainable_parameters=_compacter_parameters,
        mergeable=False,
        needs=(SUBLAYERS,),
    ),
)
