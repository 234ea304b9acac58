"""Load exported adapters onto a base model. `peftsearch.load_adapter` finds this through an entry point."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.methods.adapter_names import TERNARY_FILE
from workers.models.heads import HEADS, Head

if TYPE_CHECKING:
    from torch import nn

    from workers.models.loading import Base


def load_adapter(model: Any, folder: str | Path, rank: int | None = None, without: Iterable[str] = ()) -> nn.Module:
    """Put an exported adapter on its base model and return it in evaluation mode.

    `model` is the base model with the head of the adapter's task and as many labels, in any number format, or a
    reference to one (`builtin:minilm`, a folder, a hub id), which is loaded in float32. Its configuration is told the
    names of the labels and, where it has none, the padding token. Adapters in peft's format come back as a
    `PeftModel`; ours change the given model in place. `rank` takes an adapter that serves every rank up to its own at a
    lower one, and `without` one that has several roles without these. Raises `ValueError` when the folder holds no
    adapter, or one that does not fit the model, the rank or the roles.
    """
    from workers.methods.neighbours import remember_neighbours

    path = Path(folder)
    loaded = _loaded(model, path, rank, tuple(without))
    remember_neighbours(loaded, path)
    return loaded


def _loaded(model: Any, path: Path, rank: int | None, without: tuple[str, ...]) -> nn.Module:
    if without and not (path / "peftsearch_adapter.json").is_file():
        raise ValueError(f"{path}: without {', '.join(without)}, allowed: nothing, as the adapter has no roles")
    if (path / TERNARY_FILE).is_file():
        return _load_compressed(model, path, rank)
    if (path / "adapter_config.json").is_file():
        if rank is not None:
            raise ValueError(f"{path}: an adapter in peft's own format has one rank, found {rank}")
        return _load_peft(model, path)
    if not (path / "peftsearch_adapter.json").is_file():
        raise ValueError(f"{path}: neither adapter_config.json (peft) nor peftsearch_adapter.json is there")
    return _load_own(model, path, rank, without)


def _load_compressed(model: Any, path: Path, rank: int | None) -> nn.Module:
    from workers.methods.adapter_file import row_tasks_in
    from workers.methods.compressed import expand
    from workers.methods.ternary_file import read_recipe
    from workers.models.loading import load_base, make_base

    recipe = read_recipe(path / TERNARY_FILE)
    if isinstance(model, str):
        model = load_base(model, recipe.labels, kind=_head_of(recipe.task_type)).model
    with tempfile.TemporaryDirectory() as scratch:
        base = _of_tasks(make_base(model, str(path), head=recipe.head), row_tasks_in(path))
        plain = expand(path, Path(scratch) / "adapter", base)
        return load_adapter(model, plain, rank)


def _load_peft(model: Any, path: Path) -> nn.Module:
    from peft import PeftModel
    from safetensors.torch import load_file

    from workers.methods.adapter_card import head_named_in, tell_base

    if isinstance(model, str):
        kind = json.loads((path / "adapter_config.json").read_text())["task_type"]
        model = _from_reference(model, str(kind or head_named_in(path)), load_file(path / "adapter_model.safetensors"))
    tell_base(model, path)
    return PeftModel.from_pretrained(model, str(path)).eval()


def _load_own(model: Any, path: Path, rank: int | None, without: tuple[str, ...]) -> nn.Module:
    from workers.methods.adapter_card import tell_base
    from workers.methods.adapter_file import read_adapter
    from workers.methods.own_adapter import OwnAdapter
    from workers.methods.registry import method
    from workers.models.loading import make_base

    config, tensors = read_adapter(path)
    chosen, knobs = method(config.method), config.knobs
    if rank is not None:
        if chosen.at_rank is None or not 1 <= rank <= knobs["rank"]:
            allowed = "none to choose" if chosen.at_rank is None else f"1 to {knobs['rank']}"
            raise ValueError(f"{path}: {config.method} at rank {rank}, allowed: {allowed}")
        knobs, tensors = chosen.at_rank(knobs, tensors, rank)
    for role in without:
        if chosen.without_role is None or role not in chosen.roles:
            allowed = ", ".join(chosen.roles) or "nothing, as the adapter has no roles"
            raise ValueError(f"{path}: {config.method} without {role}, allowed: {allowed}")
        knobs, tensors = chosen.without_role(knobs, tensors, role)
    if isinstance(model, str):
        model = _from_reference(model, config.task_type, tensors)
    if model.config.model_type != config.model_type:
        raise ValueError(f"{path}: made for a {config.model_type} model, found {model.config.model_type}")
    tell_base(model, path)
    base = _of_tasks(make_base(model, str(path), head=config.head), config.row_tasks)
    attached = chosen.attach(base, knobs, config.seed, None)
    if not isinstance(attached, OwnAdapter):
        raise ValueError(f"{path}: method {config.method!r} is saved in peft's own format")
    attached.load(tensors)
    adapted: nn.Module = attached.model.eval()
    return adapted.requires_grad_(False)


def _of_tasks(base: Base, names: tuple[str, ...]) -> Base:
    """A base whose rows are of several tasks, where an adapter names some."""
    return replace(base, description=replace(base.description, row_tasks=names))


def _from_reference(reference: str, task_type: str, tensors: dict[str, Any]) -> Any:
    """Load a base with the saved kind of head; a fresh one has as many labels as its last matrix has rows."""
    from workers.models.loading import load_base

    kind = _head_of(task_type)
    return load_base(reference, _labels(tensors) if kind.fresh else 0, kind=kind).model


def _head_of(task_type: str) -> Head:
    kind = next((head for head in HEADS if head.key == task_type), None)
    if kind is None:
        raise ValueError(f"found an adapter for {task_type}, allowed: {', '.join(one.key for one in HEADS)}")
    return kind


def _labels(tensors: dict[str, Any]) -> int:
    names = ("classifier.out_proj.weight", "classifier.weight", "score.weight", "qa_outputs.weight")
    for wanted in names:
        for name, value in tensors.items():
            if name.endswith(wanted) and not name.endswith("pre_classifier.weight"):
                return int(value.shape[0])
    raise ValueError(f"the adapter has no head: none of {', '.join(names)}")
