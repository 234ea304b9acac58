"""Where in its model an adapter sits: how many numbers it keeps in each module of each layer, read from its file."""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from typing import IO
from zipfile import BadZipFile, ZipFile

from service.api.views import View
from workers.artifacts import ArtifactMissing, ArtifactStore

WEIGHTS = ("adapter_model.safetensors", "adapter.safetensors")
"""Names of the file with an adapter's weights: peft's, and ours for methods that peft does not know."""
MOST_HEADER = 1 << 26
"""Bytes of a header; one that says it is larger is damaged."""
_LAYER = re.compile(r"(?:^|\.)(\d+)\.")
_WRAPPED = re.compile(r"^(lora_\w+|\w+_[A-Z]|down|up|pool)$")


class SiteView(View):
    """A module of a layer (null: beside the layers, such as the head) and the numbers that the adapter keeps there."""

    layer: int | None
    module: str
    numbers: int


class LayerMapView(View):
    """Every place of an adapter; empty for a trial without one."""

    items: list[SiteView]


def read_layer_map(artifacts: ArtifactStore, adapter: str | None) -> LayerMapView:
    """The map of the adapter with this hash."""
    if adapter is None:
        return LayerMapView(items=[])
    try:
        with artifacts.open(adapter) as stored, ZipFile(stored) as folder:
            name = next((name for name in WEIGHTS if name in folder.namelist()), None)
            if name is None:
                return LayerMapView(items=[])
            with folder.open(name) as file:
                shapes = _shapes(file)
    except (ArtifactMissing, BadZipFile, struct.error, ValueError):  # gone, or damaged
        return LayerMapView(items=[])
    return _sites(shapes)


def _sites(shapes: dict[str, list[int]]) -> LayerMapView:
    """The numbers of tensors by layer and module, lowest layer first, what is beside the layers last."""
    numbers: Counter[tuple[int | None, str]] = Counter()
    for tensor, shape in shapes.items():
        numbers[_site(tensor)] += math.prod(shape)
    order = sorted(numbers, key=lambda site: (site[0] is None, site[0] or 0, site[1]))
    return LayerMapView(items=[SiteView(layer=site[0], module=site[1], numbers=numbers[site]) for site in order])


def _shapes(file: IO[bytes]) -> dict[str, list[int]]:
    """Shapes by name from the header of a safetensors file; the weights are not read."""
    (size,) = struct.unpack("<Q", file.read(8))
    if size > MOST_HEADER:
        raise ValueError(f"a header of {size} bytes")
    header = json.loads(file.read(size))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


def _site(tensor: str) -> tuple[int | None, str]:
    """The layer and the module that a tensor belongs to, by its name."""
    found = _LAYER.search(tensor)
    path = (tensor[found.end() :] if found else tensor.removeprefix("base_model.model.")).split(".")
    kept = path[:-1] or path
    if len(kept) > 1 and path[-1] in ("weight", "bias") and _WRAPPED.match(kept[-1]):
        kept = kept[:-1]
    return int(found.group(1)) if found else None, ".".join(kept)
