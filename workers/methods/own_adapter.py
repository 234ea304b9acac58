"""Methods of our own: modules put into the base model in place, saved in our own format. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workers.methods.adapter_card import write_card
from workers.methods.adapter_file import AdapterConfig, write_adapter, write_quantised
from workers.methods.attached import AdapterCard, TrainingSetup, factors_by_name
from workers.methods.declaration.own_method import NO_HOOKS, OwnHooks
from workers.methods.forms.dropout import quicken
from workers.methods.snapshot import ModelSnapshot, taken_off
from workers.models.loading import Base
from workers.models.row_tasks import asks_tasks, knows_tasks


class OwnAdapter:
    """`Attached` for methods that change the model in place. See `workers.methods.attached` for the contract.

    `install(base, generator)` puts the new modules in and returns the trained parameters (without the head) by name.
    It draws random numbers from `generator` only, so the same seed rebuilds the same adapter. What cannot be rebuilt
    belongs into persistent buffers of the new modules: checkpoints and exports carry these. `setup` is None when an
    adapter is attached without being trained.
    """

    def __init__(
        self,
        base: Base,
        method: str,
        knobs: Mapping[str, Any],
        seed: int,
        lowest_layer: int,
        install: Callable[[Base, torch.Generator], dict[str, nn.Parameter]],
        hooks: OwnHooks = NO_HOOKS,
        setup: TrainingSetup | None = None,
    ) -> None:
        self.base, self.model, self.lowest_layer = base, base.model, lowest_layer
        self._method, self._knobs, self._seed = method, dict(knobs), seed
        self._hooks, self._setup = hooks, setup
        self._step = 0
        base.initialise_head(seed)
        self._snapshot = ModelSnapshot(base.model)
        try:
            self._parameters = install(base, torch.Generator().manual_seed(seed))
            if hooks.ready is not None and setup is not None:
                hooks.ready(base, self._knobs, setup)
        except BaseException:
            self._snapshot.restore()
            raise
        head = _train_head(base)
        self._head = tuple(head)
        self._parameters |= head
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)
        known = self._snapshot.original_modules()
        self._own = [module for module in self.model.modules() if id(module) not in known]
        quicken(self._own)
        self.set_training(True)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Trained parameters by name, the head included."""
        return dict(self._parameters)

    def heads(self) -> dict[str, dict[str, nn.Parameter]]:
        """The trained parameters of the head's modules."""
        return {name: dict(module.named_parameters()) for name, module in self.base.head_modules().items()}

    def rate_factors(self) -> dict[str, float]:
        """Multiples of the learning rate by parameter name, where they are not 1."""
        return factors_by_name(self._parameters, self._hooks.rate_factor, self._knobs)

    def extra_state(self) -> dict[str, Tensor]:
        """What a checkpoint needs besides the parameters."""
        kept = {name: value.clone() for name, value in self._kept().items()}
        return kept if self._hooks.next_step is None else {**kept, "step": torch.tensor(self._step)}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `extra_state` gave."""
        if state.keys() != self.extra_state().keys():
            raise ValueError(f"{self._method}: found state {sorted(state)}, allowed: {sorted(self.extra_state())}")
        for name, value in self._kept().items():
            value.copy_(state[name])
        if self._hooks.next_step is not None and (step := int(state["step"])) > 0:
            self._step = step
            self._hooks.next_step(self.base, step)

    def set_training(self, training: bool) -> None:
        """Switch the adapter, never the base."""
        for module in self._own:
            module.training = training

    def auxiliary_loss(self) -> Tensor | None:
        """The regulariser of the forward pass just done, if the method has one."""
        loss = self._hooks.auxiliary_loss
        return None if loss is None else loss(self.base, self._knobs)

    def after_step(self, step: int) -> Mapping[str, Tensor]:
        """Run the method's hooks behind an optimizer step."""
        self._step, renewed = step, None
        if self._hooks.after_step is not None and self._setup is not None:
            renewed = self._hooks.after_step(self.base, self._knobs, self._setup, step)
        if self._hooks.next_step is not None:
            self._hooks.next_step(self.base, step)
        return renewed or {}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `save` wrote. Raises `ValueError` when names or shapes do not fit."""
        own = self.tensors()
        if missing := sorted(own.keys() ^ tensors.keys()):
            raise ValueError(f"the adapter does not fit this model: {missing[0]} is on one side only")
        with torch.no_grad():
            for name, value in own.items():
                if value.shape != tensors[name].shape:
                    found, wanted = tuple(tensors[name].shape), tuple(value.shape)
                    raise ValueError(f"the adapter does not fit this model: {name} is {found}, allowed: {wanted}")
                value.copy_(tensors[name])

    def merge(self) -> None:
        """Fold the adapter into plain layers of the base's kind, for serving; only `detach` may follow."""
        fold(self.model)

    def save(self, folder: Path, card: AdapterCard) -> None:
        """Export the adapter with its card."""
        config = AdapterConfig(
            method=self._method,
            knobs=self._knobs,
            seed=self._seed,
            base_model=self.base.description.reference,
            model_type=self.base.description.anatomy.model_type,
            head=self.base.head,
            task_type=self.base.kind.key,
            row_tasks=self.base.description.row_tasks if knows_tasks(self.model) else (),
        )
        write_adapter(folder, config, self.tensors())
        if numbers := self._integers():
            write_quantised(folder, numbers | {name: self._parameters[name] for name in self._head})
        told = config.row_tasks if asks_tasks(self.model) else ()
        write_card(folder, card, plain_peft=False, padding=self.model.config.pad_token_id, row_tasks=told)

    def without(self) -> AbstractContextManager[None]:
        """Inside, the base is as before; behind it the adapter is on again."""
        return taken_off(self.model, self._snapshot)

    def detach(self) -> None:
        """Restore the base bit for bit."""
        self._snapshot.restore()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that an export holds."""
        return {**self._parameters, **self._kept()}

    def _integers(self) -> dict[str, Tensor]:
        """Whole numbers and steps of quantised layers by full name: `integers()` of the modules that have it."""
        return {
            f"{path}.{name}": value
            for path, module in self.model.named_modules()
            if hasattr(module, "integers")
            for name, value in module.integers().items()
        }

    def _kept(self) -> dict[str, Tensor]:
        """Persistent buffers of the new modules by full name; a module with several names counts under its first."""
        own = {id(module) for module in self._own}
        return {
            f"{path}.{name}": value
            for path, module in self.model.named_modules()
            if id(module) in own
            for name, value in module.named_buffers(recurse=False)
            if name not in module._non_persistent_buffers_set
        }


def _train_head(base: Base) -> dict[str, nn.Parameter]:
    """Give the head parameters of its own, so that the base's are not trained."""
    trained = {}
    for head, module in base.head_modules().items():
        for path, part in module.named_modules():
            for name in [name for name, _ in part.named_parameters(recurse=False)]:
                full = ".".join(piece for piece in (head, path, name) if piece)
                trained[full] = replace_parameter(part, name)
    return trained


def fold(model: nn.Module) -> None:
    """Put plain layers in place of an adapter's modules: those that can be folded have `folded()`, which gives one."""
    for path, module in list(model.named_modules()):
        if hasattr(module, "folded"):
            set_submodule(model, path, module.folded())


def replace_parameter(module: nn.Module, name: str) -> nn.Parameter:
    """Put a trainable copy of a parameter in its place; the original stays untouched for `ModelSnapshot.restore`."""
    parameter = nn.Parameter(getattr(module, name).detach().clone())
    setattr(module, name, parameter)
    return parameter


def set_submodule(model: nn.Module, path: str, module: nn.Module) -> None:
    """Replace the submodule at a dotted path."""
    parent, _, name = path.rpartition(".")
    model.get_submodule(parent)._modules[name] = module
