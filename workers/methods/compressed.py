"""Adapters that are stored as a ternary change of what their method starts from. Needs torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from workers.methods.adapter_card import write_card
from workers.methods.adapter_file import CONFIG_FILE, WEIGHTS_FILE, row_tasks_in
from workers.methods.adapter_names import PEFT_CONFIG, PEFT_WEIGHTS, TERNARY_FILE
from workers.methods.attached import AdapterCard, Attached
from workers.methods.registry import method
from workers.methods.ternary_file import Recipe, TernaryChange, read_recipe, read_ternary, write_ternary
from workers.models.loading import Base


def start_tensors(base: Base, name: str, knobs: Mapping[str, Any], seed: int) -> dict[str, Tensor]:
    """What an export of a method would hold before the first step, on the CPU; the base is as before afterwards."""
    attached = method(name).attach(base, knobs, seed, None)
    try:
        return {name: value.detach().cpu().clone() for name, value in attached.tensors().items()}
    finally:
        attached.detach()


def weights_of(folder: Path, base: Base) -> dict[str, Tensor]:
    """The tensors of an exported adapter by name, decoded where they are compressed.

    Raises `ValueError` for a folder without an adapter, or one whose start is drawn differently here.
    """
    if (folder / TERNARY_FILE).is_file():
        recipe = read_recipe(folder / TERNARY_FILE)
        fresh = start_tensors(base, recipe.method, recipe.knobs, recipe.seed)
        return read_ternary(folder / TERNARY_FILE).applied(fresh)
    for name in (PEFT_WEIGHTS, WEIGHTS_FILE):
        if (folder / name).is_file():
            return load_file(folder / name)
    raise ValueError(f"{folder} holds no adapter: neither {PEFT_WEIGHTS} nor {WEIGHTS_FILE} nor {TERNARY_FILE}")


def expand(folder: Path, target: Path, base: Base) -> Path:
    """Write a compressed adapter as the plain one that it decodes to into the new folder `target`, and return that."""
    tensors = {name: value.contiguous() for name, value in weights_of(folder, base).items()}
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(TERNARY_FILE))
    metadata = {"format": "pt"}
    save_file(tensors, target / (PEFT_WEIGHTS if (target / PEFT_CONFIG).is_file() else WEIGHTS_FILE), metadata)
    return target


@torch.no_grad()
def change_from(fresh: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> Tensor:
    """τ [entries]: how the floating point tensors of an export differ from their start, in the order of their names.

    Raises `ValueError` where whole numbers differ, too: these have no small change.
    """
    for name, value in trained.items():
        if not value.is_floating_point() and not torch.equal(value.cpu(), fresh[name]):
            raise ValueError(f"the whole numbers of {name} differ from their start: they cannot be compressed")
    names = sorted(name for name, value in fresh.items() if value.is_floating_point())
    return torch.cat([(trained[name].cpu().float() - fresh[name].float()).flatten() for name in names])


@dataclass(frozen=True)
class Compressed:
    """Saves an attached adapter as the change that it carries."""

    attached: Attached
    change: TernaryChange
    recipe: Recipe
    padding: int | None

    def save(self, folder: Path, card: AdapterCard) -> None:
        """Export configuration, card and the coded change, without plain weights."""
        self.attached.save(folder, card)
        for name in (PEFT_WEIGHTS, WEIGHTS_FILE):
            (folder / name).unlink(missing_ok=True)
        write_ternary(folder / TERNARY_FILE, self.change, self.recipe)
        write_card(folder, card, plain_peft=False, padding=self.padding, row_tasks=row_tasks_in(folder))
        if not (folder / PEFT_CONFIG).is_file() and not (folder / CONFIG_FILE).is_file():
            raise ValueError("only adapters can be compressed")
