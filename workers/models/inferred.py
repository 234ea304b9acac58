"""The anatomy of a class of model that has no family: read from the names and shapes of its weights. Imports no torch.

Names tell the stack of layers and the linear layers and norms in it, not what each is for. So an adapter goes on all of
them (`targets: all`), whole layers run, and methods that treat queries, values or feed-forward layers in a way of their
own are refused by what they need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy, Linear, Norm
from workers.models.architectures import Architecture, architectures
from workers.models.families.registry import model_types

Shapes = Mapping[str, tuple[int, ...]]

_LAYER = re.compile(r"(.+?)\.(\d+)\.(.+)")
_BUFFERS = re.compile(r"(^|\.)(inv_freq|position_ids|num_batches_tracked)$")
_TABLES = re.compile(r"embed|relative|position|bias|conv", re.IGNORECASE)  # matrices that no linear layer holds
_HIDDEN, _POSITIONS = ("hidden_size", "d_model", "n_embd", "dim"), ("max_position_embeddings", "n_positions")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_ALLOWED = "a class of docs/models.md, or another one of transformers whose layers are alike and hold linear layers"


def infer(config: Mapping[str, Any], shapes: Shapes) -> Anatomy:
    """Describe a model by its configuration and the shapes of its weights, stored or in memory.

    Raises `InvalidInput` with field `model` where transformers has no head for the class, or names do not tell.
    """
    known = architecture(config)
    kind = str(config["model_type"])
    own = _named_as_loaded(shapes, known.body)
    path, layers = _stack(kind, own)
    linears, norms, first_norms = _parts(kind, layers)
    inside = {f"{path}.{index}.{name}" for index, layer in layers.items() for name in layer if _in_parts(name, layer)}
    outside = tuple((name, shape) for name, shape in own.items() if name not in inside)
    words = _word_embeddings(kind, dict(outside), _first(config, ("vocab_size",)))
    hidden = _first(config, _HIDDEN) or own[f"{words}.weight"][1]
    heads = _first(config, _HEADS) or 1
    positions = _first(config, _POSITIONS)
    return Anatomy(
        model_type=kind,
        hidden_size=hidden,
        layers=len(layers),
        intermediate_size=max(max(linear.in_features, linear.out_features) for linear in linears),
        heads=heads,
        key_value_heads=heads,
        head_size=max(1, hidden // heads),
        vocabulary=own[f"{words}.weight"][0],
        positions=positions or hidden,
        body=known.body,
        layers_path=path,
        attention="",
        feed_forward="",
        linears=linears,
        norms=norms,
        first_layer_norms=first_norms,
        word_embeddings=words,
        outside=outside,
        head=(),
        causal="CausalLM" in known.heads,
        reads=None,
        relative_positions=positions is None,
        embedding_size=own[f"{words}.weight"][1],
        plain_attention=False,
        takes_past=False,
        tells_rows_apart=False,
        known_parts=False,
    )


def architecture(config: Mapping[str, Any]) -> Architecture:
    """What transformers has of the class of a parsed `config.json`.

    Raises `InvalidInput` with field `model` for a class that is no single stack of layers for texts.
    """
    kind = config.get("model_type")
    known = architectures().get(kind) if isinstance(kind, str) else None
    if known is None:
        allowed = f"{', '.join(model_types())}, or another class of transformers with a head for texts"
        raise InvalidInput("model", f"model_type {kind!r}", allowed)
    if config.get("is_encoder_decoder"):
        raise InvalidInput("model", f"a {kind} model, an encoder with a decoder", _ALLOWED)
    if any(config.get(name) for name in _EXPERTS):
        raise InvalidInput("model", f"a {kind} model, whose layers hold experts", _ALLOWED)
    if "text_config" in config:
        part = config["text_config"].get("model_type", "its text_config")
        allowed = f"its language part ({part}), saved by itself"
        raise InvalidInput("model", f"a {kind} model, which reads more than texts", allowed)
    return known


def _named_as_loaded(shapes: Shapes, body: str) -> dict[str, tuple[int, ...]]:
    """The weights of the body by the names that a model with a head gives them; a bare body has no prefix."""
    prefix = f"{body}."
    bare = not any(name.startswith(prefix) for name in shapes)
    named = {(prefix + name if bare else name): shape for name, shape in shapes.items()}
    return {name: shape for name, shape in named.items() if name.startswith(prefix) and not _buffer(name, shape)}


def _buffer(name: str, shape: tuple[int, ...]) -> bool:
    """Whether an entry is none of the weights: old checkpoints store causal masks as `bias` [1, 1, n, n], too."""
    return not shape or _BUFFERS.search(name) is not None or (name.endswith(".bias") and len(shape) > 1)


def _stack(kind: str, shapes: Shapes) -> tuple[str, dict[int, dict[str, tuple[int, ...]]]]:
    """Path of the list of layers that holds most of the numbers, and the weights of each layer by name."""
    found: dict[str, dict[int, dict[str, tuple[int, ...]]]] = {}
    for name, shape in shapes.items():
        if match := _LAYER.fullmatch(name):
            found.setdefault(match[1], {}).setdefault(int(match[2]), {})[match[3]] = shape
    if not found:
        raise InvalidInput("model", f"a {kind} model without a list of layers", _ALLOWED)

    def size(path: str) -> int:
        return sum(prod(shape) for layer in found[path].values() for shape in layer.values())

    path = max(found, key=size)
    layers = dict(sorted(found[path].items()))
    if list(layers) != list(range(len(layers))):
        raise InvalidInput("model", f"a {kind} model with gaps in its layers ({', '.join(map(str, layers))})", _ALLOWED)
    return path, layers


def _parts(kind: str, layers: Mapping[int, Shapes]) -> tuple[tuple[Linear, ...], tuple[Norm, ...], tuple[Norm, ...]]:
    """The linear layers of every layer, and its norms: those of the first may be others."""
    linears = [tuple(_linears(layer)) for layer in layers.values()]
    norms = [tuple(_norms(layer)) for layer in layers.values()]
    for number in range(1, len(layers)):
        if linears[number] != linears[0] or norms[number] != norms[1]:
            raise InvalidInput("model", f"a {kind} model whose layer {number} is made otherwise than others", _ALLOWED)
    if not linears[0]:
        raise InvalidInput("model", f"a {kind} model without linear layers in its layers", _ALLOWED)
    return linears[0], norms[-1], norms[0]


def _linears(layer: Shapes) -> Iterator[Linear]:
    for name, shape in sorted(layer.items()):
        module, _, last = name.rpartition(".")
        if last == "weight" and len(shape) == 2 and not _TABLES.search(module.rpartition(".")[2]):
            yield Linear(module, frozenset({"linear"}), shape[1], shape[0], f"{module}.bias" in layer)


def _norms(layer: Shapes) -> Iterator[Norm]:
    for name, shape in sorted(layer.items()):
        module, _, last = name.rpartition(".")
        if last == "weight" and len(shape) == 1:
            yield Norm(module, shape[0], f"{module}.bias" in layer)


def _in_parts(name: str, layer: Shapes) -> bool:
    """Whether a weight belongs to a linear layer or a norm."""
    parts: list[Linear | Norm] = [*_linears(layer), *_norms(layer)]
    return name.rpartition(".")[0] in {part.name for part in parts}


def _word_embeddings(kind: str, outside: Shapes, vocabulary: int | None) -> str:
    """The table with a row for each token."""
    for name, shape in outside.items():
        if len(shape) == 2 and name.endswith(".weight") and shape[0] == vocabulary:
            return name.removesuffix(".weight")
    raise InvalidInput("model", f"a {kind} model without an embedding of {vocabulary} tokens", _ALLOWED)


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((found for name in names if isinstance(found := config.get(name), int) and found > 0), None)
