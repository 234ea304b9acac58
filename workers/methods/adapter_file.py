"""The format of adapters that Hugging Face peft does not know: a safetensors file and a JSON file. Needs torch.

`adapter.safetensors` holds every trained tensor by name, the head included;
`peftsearch_adapter.json` the method, its knobs and the seed, from which everything else is rebuilt. What was trained
through a quantisation is there a second time as a runtime of integers wants it, in `quantised.safetensors`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from workers.models.heads import SEQUENCE

CONFIG_FILE = "peftsearch_adapter.json"
WEIGHTS_FILE = "adapter.safetensors"
QUANTISED_FILE = "quantised.safetensors"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class AdapterConfig:
    """What rebuilds an adapter on its base model. `seed` redraws frozen random parts of methods that have some.

    `task_type` names the kind of head as peft does, `row_tasks` the tasks of rows where the adapter must be told them.
    """

    method: str
    knobs: dict[str, Any]
    seed: int
    base_model: str
    model_type: str
    head: tuple[str, ...]
    task_type: str = SEQUENCE.peft_type
    format_version: int = FORMAT_VERSION
    row_tasks: tuple[str, ...] = ()


def write_adapter(folder: Path, config: AdapterConfig, tensors: dict[str, Tensor]) -> None:
    """Write both files; tensors are stored contiguous and on the CPU."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS_FILE)
    told = asdict(config)
    if not config.row_tasks:
        del told["row_tasks"]  # which versions before there were several do not know
    (folder / CONFIG_FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def write_quantised(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write the integer checkpoint: for each quantised layer `<path>.integers` int8 [out, in] and `<path>.steps`
    [out, in / group], whose products are the layer's weights; every other trained tensor (the head) by its name."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, folder / QUANTISED_FILE)


def read_adapter(folder: Path) -> tuple[AdapterConfig, dict[str, Tensor]]:
    """Read what `write_adapter` wrote. Raises as `read_config` does."""
    return read_config(folder), load_file(folder / WEIGHTS_FILE)


def row_tasks_in(folder: Path) -> tuple[str, ...]:
    """The tasks that an exported adapter must be told of its rows; none of most, and of those of peft."""
    return read_config(folder).row_tasks if (folder / CONFIG_FILE).is_file() else ()


def read_config(folder: Path) -> AdapterConfig:
    """Read what rebuilds an adapter. Raises `ValueError` for another format version or missing fields."""
    data = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    if data.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{folder / CONFIG_FILE}: format_version is {data.get('format_version')!r}, allowed: {FORMAT_VERSION}"
        )
    try:
        lists = {"head": tuple(data["head"]), "row_tasks": tuple(data.get("row_tasks", ()))}
        config = AdapterConfig(**{**data, **lists})
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder / CONFIG_FILE}: {error}") from error
    return config
