"""Which encoder layer a trained parameter belongs to. Needs torch."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn


def layers_of(model: nn.Module, layers_path: str, parameters: Mapping[str, nn.Parameter]) -> dict[str, int | None]:
    """The layer of each parameter by name; None for what belongs to no layer, or to several that share it.

    `layers_path` is where the list of layers sits in the base model, which `model` may wrap.
    """
    inside = re.compile(rf"(?:^|\.){re.escape(layers_path)}\.(\d+)\.")
    places: dict[int, set[int | None]] = {}
    for path, value in model.named_parameters(remove_duplicate=False):
        found = inside.search(path)
        places.setdefault(id(value), set()).add(int(found[1]) if found else None)
    own = {name: places.get(id(value), {None}) for name, value in parameters.items()}
    return {name: next(iter(layers)) if len(layers) == 1 else None for name, layers in own.items()}
