"""Methods of Hugging Face peft, attached and saved in peft's own format. Needs torch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import peft
import torch
from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn

from workers.methods.adapter_card import write_card
from workers.methods.attached import AdapterCard, TrainingSetup, factors_by_name
from workers.methods.declaration.peft_method import PeftHooks
from workers.methods.forms.dropout import quicken
from workers.methods.snapshot import ModelSnapshot, taken_off
from workers.methods.snippets import loadable
from workers.models.loading import Base


class PeftAdapter:
    """`Attached` for a `PeftModel`. See `workers.methods.attached` for the contract."""

    def __init__(
        self,
        base: Base,
        snapshot: ModelSnapshot,
        model: peft.PeftModel,
        knobs: Mapping[str, Any],
        lowest_layer: int,
        hooks: PeftHooks,
    ) -> None:
        self.base, self.model, self.lowest_layer = base, model, lowest_layer
        self._snapshot, self._knobs, self._hooks = snapshot, knobs, hooks
        heads = {id(part) for module in _saved_modules(model) for part in module.modules()}
        known = snapshot.original_modules() | heads
        self._own = [module for module in model.modules() if id(module) not in known]
        quicken(self._own)
        self.set_training(True)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Trained parameters by name, the head included."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def heads(self) -> dict[str, dict[str, nn.Parameter]]:
        """The trained copies of the head's modules, by the base's names."""
        modules = [found for found in self._wrapped(ModulesToSaveWrapper) if found[0] in self.base.head]
        return {name: dict(module.modules_to_save["default"].named_parameters()) for name, module in modules}

    def _wrapped(self, kind: type[Any]) -> Iterator[tuple[str, Any]]:
        """What peft put in place of the base's modules, by their names in the base."""
        modules = self.model.get_base_model().named_modules()
        return ((name, module) for name, module in modules if isinstance(module, kind))

    def rate_factors(self) -> dict[str, float]:
        """Multiples of the learning rate by parameter name, where they are not 1."""
        return factors_by_name(self.parameters(), self._hooks.rate_factor, self._knobs)

    def extra_state(self) -> dict[str, Tensor]:
        """What a checkpoint needs besides the parameters."""
        return {} if self._hooks.extra_state is None else self._hooks.extra_state(self.model)

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `extra_state` gave."""
        if self._hooks.load_extra_state is not None:
            self._hooks.load_extra_state(self.model, state)
        elif state:
            raise ValueError(f"this adapter keeps no extra state, found {sorted(state)}")

    def set_training(self, training: bool) -> None:
        """Switch the adapter, never the base."""
        for module in self._own:
            module.training = training

    def auxiliary_loss(self) -> Tensor | None:
        """The regulariser of the forward pass just done, if the method has one."""
        loss = self._hooks.auxiliary_loss
        return None if loss is None else loss(self.model, self._knobs)

    def after_step(self, step: int) -> Mapping[str, Tensor]:
        """Run the method's hook behind an optimizer step."""
        if self._hooks.after_step is not None:
            self._hooks.after_step(self.model, step)
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Everything that an export holds, by the names of peft's files."""
        found: dict[str, Tensor] = peft.get_peft_model_state_dict(self.model, save_embedding_layers=False)
        return found

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `save` wrote. Raises `ValueError` when names or shapes do not fit."""
        if stray := sorted(self.tensors().keys() ^ tensors.keys()):
            raise ValueError(f"the adapter does not fit this model: {stray[0]} is on one side only")
        try:
            peft.set_peft_model_state_dict(self.model, dict(tensors))
        except RuntimeError as error:
            raise ValueError(f"the adapter does not fit this model: {error}") from error

    def save(self, folder: Path, card: AdapterCard) -> None:
        """Export the adapter with its card."""
        folder.mkdir(parents=True, exist_ok=True)
        config = self.model.peft_config["default"]
        config.base_model_name_or_path, config.revision = loadable(card.base_model, self.base.folder)
        self.model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
        write_card(folder, card, plain_peft=True, padding=self.base.model.config.pad_token_id)

    def without(self) -> AbstractContextManager[None]:
        """Inside, the base is as before; behind it the adapter is on again."""
        return taken_off(self.model, self._snapshot)

    def detach(self) -> None:
        """Restore the base bit for bit."""
        self._snapshot.restore()


def attach_peft(
    base: Base,
    config: tuple[str, Mapping[str, Any]],
    knobs: Mapping[str, Any],
    seed: int,
    setup: TrainingSetup | None,
    lowest_layer: int,
    hooks: PeftHooks,
    changes_base: bool,
) -> PeftAdapter:
    """Put the peft adapter (config class, its arguments) on the base model; on failure the base is as before.

    peft draws its weights from torch's global generator: it is seeded here, and left as it was.
    """
    base.initialise_head(seed)
    snapshot = ModelSnapshot(base.model, _body_parameters(base) if changes_base else ())
    kind, given = config
    arguments = {**given, **(hooks.arguments(knobs, setup) if hooks.arguments else {})}
    whole = [*base.head, *arguments.pop("modules_to_save", ())]
    peft_config = getattr(peft, kind)(task_type=base.kind.task_type(kind) or None, modules_to_save=whole, **arguments)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            if hooks.before:
                hooks.before(base, peft_config, knobs, setup)
            model = peft.get_peft_model(base.model, peft_config)
            if hooks.ready:
                hooks.ready(model, base, knobs, setup)
    except BaseException:
        snapshot.restore()
        raise
    model.eval()  # an initialisation may have switched the base to training
    return PeftAdapter(base, snapshot, model, knobs, lowest_layer, hooks)


def _saved_modules(model: nn.Module) -> Iterator[nn.Module]:
    """The trained copies of the head."""
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper):
            yield module.modules_to_save


def _body_parameters(base: Base) -> list[str]:
    """Names of the base's weights inside its encoder layers, the only ones an initialisation rewrites."""
    prefix = base.description.anatomy.layers_path + "."
    return [name for name, _ in base.model.named_parameters() if name.startswith(prefix)]
