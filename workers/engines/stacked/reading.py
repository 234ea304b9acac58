"""From an attached method to the updates that a stack takes: each trained tensor, where it acts, in which form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from peft.tuners.beft.layer import BeftLayer
from peft.tuners.ia3 import IA3Layer
from peft.tuners.ln_tuning.layer import LNTuningLayer
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.variants import DoraLinearVariant, MiCALinearVariant
from torch import Tensor, nn

from workers.engines.stacked.places import ACTIVATION_NAMES
from workers.engines.stacked.update import Part, Update
from workers.methods.attached import Attached
from workers.methods.declaration.update_forms import Form
from workers.methods.forms.bottleneck import (
    ACTIVATIONS,
    AdaptedAttention,
    AdaptedBertOutput,
    AdaptedFeedForward,
    Bottleneck,
)
from workers.methods.forms.low_rank import StartedLora
from workers.methods.forms.prefix_attention import KeyValuePrefix
from workers.methods.forms.weights import ScaledShifted, ScaledSublayer
from workers.models.loading import Base

_CUT_OUT = ("pissa", "olora")  # starts that peft takes out of the base's weight
_PLAIN_VARIANTS = (DoraLinearVariant, MiCALinearVariant)  # MiCA only freezes B
_WRAPPERS = {"original", "base_layer"}
_SUBLAYERS = AdaptedFeedForward | AdaptedBertOutput | AdaptedAttention


class NotStackable(ValueError):
    """A method trains something that none of the forms covers, although it says so."""


def read_updates(attached: Attached, base: Base) -> list[Update]:
    """The updates of an attached method in all of its places.

    Raises `NotStackable` where they do not cover everything that it trains.
    """
    config = getattr(attached.model, "peft_config", {}).get("default")
    cut_out = str(getattr(config, "init_lora_weights", "")).startswith(_CUT_OUT)
    reader = _Reader({id(value): name for name, value in attached.parameters().items()}, cut_out)
    found = list(_heads(attached, reader))
    for path, module in base.model.named_modules():
        place = ".".join(part for part in path.split(".") if part not in _WRAPPERS)
        for kind, read in _READERS.items():
            if isinstance(module, kind):
                found += read(place, module, reader)
    found += _plain(base, reader)
    if left := sorted(reader.left()):
        raise NotStackable(f"no form covers {', '.join(left[:3])}")
    return [update for update in found if update.parts]


class _Reader:
    """Makes parts, and remembers which of the trained tensors it has seen."""

    def __init__(self, names: Mapping[int, str], cut_out: bool) -> None:
        self._names, self._seen, self.cut_out = dict(names), set[int](), cut_out

    def part(self, value: Tensor, shape: tuple[int, ...] | None = None) -> Part:
        """A tensor, trained or not, stacked in `shape`: its own where that is None."""
        self._seen.add(id(value))
        stacked = value.detach().reshape(value.shape if shape is None else shape)
        return Part(stacked, self._names.get(id(value)), tuple(value.shape))

    def trains(self, value: Tensor) -> bool:
        """Whether it is trained and nobody has read it yet."""
        return id(value) in self._names and id(value) not in self._seen

    def left(self) -> list[str]:
        """What is trained and was never read."""
        return [name for key, name in self._names.items() if key not in self._seen]


def _heads(attached: Attached, reader: _Reader) -> Iterator[Update]:
    for head, parameters in attached.heads().items():
        leaves: dict[str, dict[str, Part]] = {}
        for name, value in parameters.items():
            inside, _, role = name.rpartition(".")
            leaves.setdefault(f"{head}.{inside}" if inside else head, {})[role] = reader.part(value)
        for place, parts in leaves.items():
            yield Update(place, "head", parts)


def _lora(place: str, layer: Any, reader: _Reader) -> Iterator[Update]:
    if not isinstance(layer.lora_A, nn.ModuleDict) or "default" not in layer.lora_A:  # AdaLoRA's are no layers
        return
    variant, second = layer.lora_variant.get("default"), layer.lora_B["default"]
    if type(second) is not nn.Linear or not (variant is None or isinstance(variant, _PLAIN_VARIANTS)):
        return
    a, b = layer.lora_A["default"].get_parameter("weight"), second.weight
    parts = {"a": reader.part(a), "b": reader.part(b)}
    if reader.cut_out:
        parts |= {"a_start": _frozen(a), "b_start": _frozen(b)}
    if second.bias is not None:
        parts["shift"] = reader.part(second.bias)
    if "default" in layer.lora_magnitude_vector:
        parts["magnitude"] = reader.part(layer.lora_magnitude_vector["default"].weight)
    dropout = float(getattr(layer.lora_dropout["default"], "p", 0.0))
    yield Update(place, "low-rank", parts, {"scale": float(layer.scaling["default"]), "dropout": dropout})


def _started(place: str, layer: StartedLora, reader: _Reader) -> Iterator[Update]:
    parts = {"a": reader.part(layer.first), "b": reader.part(layer.second)}
    parts |= {"a_start": _frozen(layer.first_start), "b_start": _frozen(layer.second_start)}
    yield Update(place, "low-rank", parts, {"scale": layer.scaling, "dropout": 0.0})


def _ia3(place: str, layer: Any, reader: _Reader) -> Iterator[Update]:
    scale = layer.ia3_l["default"]
    yield Update(place, "scale", {"input" if layer.is_feedforward else "output": reader.part(scale, (-1,))})


def _scaled_shifted(place: str, layer: ScaledShifted, reader: _Reader) -> Iterator[Update]:
    yield Update(place, "scale", {"output": reader.part(layer.scale), "shift": reader.part(layer.shift)})


def _scaled_sublayer(place: str, layer: ScaledSublayer, reader: _Reader) -> Iterator[Update]:
    yield Update(place, "scale", {"factor": reader.part(layer.scale, (1,))})


def _norm(place: str, layer: Any, reader: _Reader) -> Iterator[Update]:
    own = layer.ln_tuning_layers["default"]
    yield Update(place, "norm", {name: reader.part(value) for name, value in own.named_parameters()})


def _beft(place: str, layer: Any, reader: _Reader) -> Iterator[Update]:
    yield Update(place, "bias", {"delta": reader.part(layer.beft_bias["default"], (-1,))})


def _sublayer(place: str, layer: _SUBLAYERS, reader: _Reader) -> Iterator[Update]:
    sides: dict[Form, nn.Module | None] = {"serial": layer.serial, "parallel": layer.parallel}
    for form, bottleneck in sides.items():
        if isinstance(bottleneck, Bottleneck):
            yield _bottleneck(place, form, bottleneck, reader)


def _bottleneck(place: str, form: Form, module: Bottleneck, reader: _Reader) -> Update:
    parts = {
        "down": reader.part(module.down.weight),
        "down_bias": reader.part(module.down.bias),
        "up": reader.part(module.up.weight),
        "up_bias": reader.part(module.up.bias),
    }
    fixed = 0.0
    if isinstance(module.scale, Tensor):
        parts["scale"] = reader.part(module.scale, (1,))
    else:
        fixed = module.scale
    name = next(name for name, function in ACTIVATIONS.items() if function is module.activation)
    return Update(place, form, parts, {"scale": fixed, "activation": float(ACTIVATION_NAMES.index(name))})


def _prefix(place: str, prefix: KeyValuePrefix, reader: _Reader) -> Iterator[Update]:
    parts = {"key": reader.part(prefix.key), "value": reader.part(prefix.value)}
    yield Update(place.rpartition(".")[0], "prefix", parts, {"length": float(prefix.key.shape[1])})


def _plain(base: Base, reader: _Reader) -> Iterator[Update]:
    """Biases and norms of the base that the method trains in their own place."""
    for path, module in base.model.named_modules():
        parts = {
            name: reader.part(value)
            for name, value in module.named_parameters(recurse=False)
            if name in ("weight", "bias") and reader.trains(value) and value.ndim == 1
        }
        if parts:
            place = ".".join(part for part in path.split(".") if part not in _WRAPPERS)
            linear = module.get_parameter("weight").ndim == 2
            yield Update(place, "bias" if linear else "norm", parts)


def _frozen(value: Tensor) -> Part:
    return Part(value.detach().clone(), None, tuple(value.shape))


_READERS: Mapping[type[Any], Callable[[str, Any, _Reader], Iterator[Update]]] = {
    LoraLayer: _lora,
    IA3Layer: _ia3,
    LNTuningLayer: _norm,
    BeftLayer: _beft,
    StartedLora: _started,
    ScaledShifted: _scaled_shifted,
    ScaledSublayer: _scaled_sublayer,
    AdaptedFeedForward: _sublayer,
    AdaptedBertOutput: _sublayer,
    AdaptedAttention: _sublayer,
    KeyValuePrefix: _prefix,
}
