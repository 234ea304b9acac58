"""Whether a checkpoint holds the model that its `config.json` describes, by names and shapes. Imports no torch.

Only the head of a task may differ or be missing, and BERT's or ALBERT's pooler may be missing: both are trained from
scratch. Any other part of the base that the checkpoint does not hold would be frozen at random values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy, Norm
from workers.models.families.registry import anatomy, families
from workers.models.weights import StoredTensor, stored_tensors

Shapes = dict[str, tuple[int, ...]]
_LEGACY = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}  # as transformers renames them
_RULE = "a checkpoint and a config.json of one model; only the head may differ"


def check_weights(config: Mapping[str, Any], folder: Path) -> None:
    """Raise `InvalidInput` with field `model` unless every frozen weight is stored with the shape of the config."""
    check_tensors(config, stored_tensors(folder), str(folder))


def check_tensors(config: Mapping[str, Any], tensors: Mapping[str, StoredTensor], where: str) -> None:
    """The same of tensors by name, which lie `where`."""
    if "quantization_config" in config:
        allowed = "a checkpoint in full precision (`resources.quantise` quantises it while it is loaded)"
        raise InvalidInput("model", f"{where}, which is stored quantised", allowed)
    if config.get("model_type") not in families():  # its weights are all that tells of such a class; loading looks
        return
    parts = anatomy(config)
    expected, optional = frozen_shapes(config), _pooler(parts)
    as_stored = {name: one.shape for name, one in tensors.items()}
    stored = _named_as_loaded(as_stored, parts)
    absent = [name for name in expected if name not in stored]
    if absent:
        raise InvalidInput("model", _absence(absent, expected, as_stored, where), _RULE)
    differ = [
        f"{name!r} is {_written(shape)} by config.json and {_written(stored[name])} in the checkpoint"
        for name, shape in (expected | optional).items()
        if stored.get(name, shape) != shape
    ]
    if differ:
        more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
        raise InvalidInput("model", f"{where}: {differ[0]}{more}", _RULE)
    beyond = _layers_beyond(parts, stored)
    if beyond:
        found = f"{where}: {parts.layers} layers by config.json and {beyond + 1} in the checkpoint"
        raise InvalidInput("model", found, _RULE)


def check_loaded(
    parts: Anatomy, folder: Path, missing: set[str], mismatched: set[str], fresh_head: bool = True
) -> None:
    """The same behind loading, by the names of weights that were missing or of another size."""
    body = f"{parts.body}." if fresh_head else ""  # what lies outside is the head of the task
    random = sorted(name for name in missing if name.startswith(body) and name not in _pooler(parts)) + sorted(
        name for name in mismatched if name.startswith(body)
    )
    if random:
        more = f" (and {len(random) - 1} more)" if len(random) > 1 else ""
        raise InvalidInput("model", f"{folder} without {random[0]!r} in the size of config.json{more}", _RULE)


def frozen_shapes(config: Mapping[str, Any]) -> Shapes:
    """Names and shapes of all weights of the base, without the head and the pooler, as the model names them."""
    parts = anatomy(config)
    shapes: Shapes = {name: shape for name, shape in parts.outside if name not in _pooler(parts)}
    for index in range(parts.layers):
        prefix = f"{parts.layers_path}.{index}."
        for linear in parts.linears:
            sides = (linear.in_features, linear.out_features)
            shapes[f"{prefix}{linear.name}.weight"] = sides if linear.transposed else sides[::-1]
            if linear.bias:
                shapes[f"{prefix}{linear.name}.bias"] = (linear.out_features,)
        for norm in parts.first_layer_norms if index == 0 else parts.norms:
            shapes |= _norm(f"{prefix}{norm.name}", norm)
    return shapes


def _norm(path: str, norm: Norm) -> Shapes:
    names = ("weight", "bias") if norm.bias else ("weight",)
    return {f"{path}.{name}": (norm.size,) for name in names}


def _pooler(parts: Anatomy) -> Shapes:
    """The part of the body that a checkpoint may lack: it then joins the head."""
    return {name: shape for name, shape in parts.outside if ".pooler." in name}


def _named_as_loaded(stored: Shapes, parts: Anatomy) -> Shapes:
    """Stored shapes by the names that loading gives them: a bare body has no prefix, old norms are called otherwise."""
    body = f"{parts.body}."
    return {name if name.startswith(body) else body + name: shape for name, shape in _renamed(stored, parts)}


def _renamed(stored: Shapes, parts: Anatomy) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, shape in stored.items():
        for old, new in (*_LEGACY.items(), *parts.stored_names):
            name = name.replace(old, new)
        yield name, shape


def _absence(absent: list[str], expected: Shapes, stored: Shapes, where: str) -> str:
    if len(absent) < len(expected):
        return f"{where}: {len(absent)} of the {len(expected)} weights are missing, the first is {absent[0]!r}"
    ending = absent[0].rpartition("embeddings.")[2]
    alike = next((name for name in stored if name.endswith(ending)), next(iter(sorted(stored)), "nothing"))
    return f"{where} with none of the model's weights: expected names like {absent[0]!r}, found {alike!r}"


def _layers_beyond(parts: Anatomy, stored: Shapes) -> int | None:
    """Index of the last layer in the checkpoint where that is none of the config."""
    path = f"{parts.layers_path}."
    numbers = {name.removeprefix(path).partition(".")[0] for name in stored if name.startswith(path)}
    last = max((int(number) for number in numbers if number.isdecimal()), default=0)
    return last if last >= parts.layers else None


def _written(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
