"""Adapters of tasks in turn: one is trained at a time, and a selector chooses among them for each row. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import linear

from workers.methods.forms.reweighted import in_float32, uniform
from workers.methods.own_adapter import set_submodule
from workers.models.anatomy import Linear
from workers.models.loading import Base
from workers.models.row_tasks import TASK_SEQUENCE

_SHRINKAGE, _DOUBT = 0.1, 1e-3  # choices: of a covariance towards its mean variance; and what no class falls below
_APART = -30.0  # nats, of classes that a row in training cannot have
_SELECTED_BY = 64  # numbers that the selector reads of a row's state


class _Seen(Exception):
    """Ends a pass whose upper layers nobody needs."""


class SequenceLora(nn.Module):
    """y = Wx + b + s·B_tA_tx with t the task that the selector chose for a row; in training that which is learnt.

    A `first` [r, in] and B `second` [out, r] are those of the task that is learnt; behind it they are put away in
    `finished_first` [tasks - 1, r, in] and `finished_second` [tasks - 1, out, r], buffers that no optimizer reaches.
    """

    def __init__(
        self, original: nn.Module, of: Linear, rank: int, scale: float, sequence: TaskSequence, draw: torch.Generator
    ) -> None:
        super().__init__()
        inputs, outputs, kept = of.in_features, of.out_features, sequence.tasks - 1
        self.original, self.scaling, self._sequence = original, scale, (sequence,)  # in a tuple: no part of this module
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw))
        self.second = nn.Parameter(torch.zeros(outputs, rank))
        self.finished_first: Tensor
        self.finished_second: Tensor
        self.register_buffer("finished_first", torch.zeros(kept, rank, inputs))
        self.register_buffer("finished_second", torch.zeros(kept, outputs, rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [rows, length, in] to outputs [rows, length, out]."""
        numbers, seen = self._sequence[0].numbers, in_float32(inputs)
        if numbers is None:
            update = linear(linear(seen, self.first), self.second)
        else:
            first = torch.cat([self.finished_first, self.first[None]])[numbers]  # the last is the one that is learnt
            second = torch.cat([self.finished_second, self.second[None]])[numbers]
            update = (seen @ first.mT) @ second.mT
        return self.original(inputs) + (self.scaling * update).to(inputs.dtype)  # type: ignore[no-any-return]

    @torch.no_grad()
    def put_away(self, stage: int, draw: torch.Generator) -> None:
        """Keep what was learnt as the adapter of task `stage`, and begin with another."""
        self.finished_first[stage].copy_(self.first)
        self.finished_second[stage].copy_(self.second)
        self.first.copy_(uniform(tuple(self.first.shape), 1 / math.sqrt(self.first.shape[1]), draw))
        self.second.zero_()


class TaskSequence(nn.Module):
    """What is known of the tasks so far: how far the training is, the heads that were learnt, and the selector.

    The selector is a linear discriminant analysis of the states that enter the lowest adapted layer, which no task
    changes: their means over a row's tokens, in `_SELECTED_BY` directions drawn from the seed. Of each task it keeps
    the rows' number, mean and scatter [tasks, …], so that it forgets nothing and needs no rows. A row's class has the
    probability that its task has by the selector, times that which its task's adapter and head give it; of tasks
    beyond the `top_k` likeliest, whose adapters do not run, all classes are alike.
    """

    def __init__(self, base: Base, tasks: int, top_k: int, draw: torch.Generator) -> None:
        super().__init__()
        hidden, classes = base.description.anatomy.hidden_size, int(base.model.config.num_labels or 0)
        size = min(_SELECTED_BY, hidden)
        self.tasks, self._top_k = tasks, top_k
        self.numbers: Tensor | None = None  # [rows] whose adapter each row has; None: that which is learnt
        self._mask: Tensor | None = None
        self._likely = torch.zeros(0)
        self._collected: Tensor | None = None
        self._collecting = False
        self._seed = int(torch.randint(1 << 31, (1,), generator=draw))
        directions = torch.linalg.qr(torch.empty(hidden, size).normal_(generator=draw))[0]
        self.directions: Tensor
        self.stage: Tensor
        self.rows: Tensor
        self.means: Tensor
        self.scatters: Tensor
        self.classes: Tensor
        self.register_buffer("directions", directions, persistent=False)
        self.register_buffer("stage", torch.zeros((), dtype=torch.long))
        self.register_buffer("rows", torch.zeros(tasks))
        self.register_buffer("means", torch.zeros(tasks, size))
        self.register_buffer("scatters", torch.zeros(tasks, size, size))
        self.register_buffer("classes", torch.zeros(tasks, classes))
        self._heads = tuple(base.head_modules().items())
        for head, module in self._heads:
            for name, value in module.named_parameters():
                kept = torch.zeros(tasks - 1, *value.shape)
                self.register_buffer(f"{head}.{name}".replace(".", "_"), kept)

    def watch(self, base: Base, lowest: int) -> None:
        """Become a part of the model: from now on it selects, and gives logarithms of probabilities of classes."""
        base.model.add_module(TASK_SEQUENCE, self)
        base.model.register_forward_pre_hook(self._begin, with_kwargs=True)
        layers = base.model.get_submodule(base.description.anatomy.layers_path)
        layers.get_submodule(str(lowest)).register_forward_pre_hook(self._enter, with_kwargs=True)
        for head, module in self._heads:
            module.register_forward_hook(lambda one, given, found, head=head: self._of_tasks(head, one, given, found))
        base.model.register_forward_hook(self._end)

    def learn_rows(self, model: nn.Module, batches: Iterable[Mapping[str, Tensor]], names: tuple[str, str]) -> None:
        """Take in the training rows of all tasks: what the selector goes by, and which classes each has.

        Batches hold the rows' tasks and coded classes under `names`. What a task adds is used once it is learnt.
        """
        from workers.tasks.coded_targets import PAYLOAD

        sums, squares = torch.zeros_like(self.means), torch.zeros_like(self.scatters)
        for batch in batches:
            tasks, classes = batch[names[0]], batch[names[1]] & ((1 << PAYLOAD) - 1)
            states = self._states_of(model, {key: value for key, value in batch.items() if key not in names})
            self.rows.index_add_(0, tasks, torch.ones(len(tasks), device=tasks.device))
            sums.index_add_(0, tasks, states)
            squares.index_add_(0, tasks, states[:, :, None] * states[:, None])
            self.classes[tasks, classes] = 1.0
        count = self.rows.clamp(min=1)
        self.means.copy_(sums / count[:, None])
        self.scatters.copy_(squares - count[:, None, None] * self.means[:, :, None] * self.means[:, None])

    @torch.no_grad()
    def advance(self, model: nn.Module) -> None:
        """A task was learnt: put its adapter and its head away, and begin with the next."""
        stage = int(self.stage)
        draw = torch.Generator().manual_seed(self._seed + stage)
        for module in model.modules():
            if isinstance(module, SequenceLora):
                module.put_away(stage, draw)
        for head, module in self._heads:
            for name, value in module.named_parameters():
                self._finished(head, name)[stage].copy_(value)
        self.stage += 1

    @torch.no_grad()
    def posterior(self, states: Tensor) -> Tensor:
        """Logarithms of the probabilities `[rows, tasks]` of tasks so far for states `[rows, size]`."""
        known, rows = int(self.stage) + 1, self.rows[: int(self.stage) + 1]
        size = states.shape[1]
        spread = self.scatters[:known].sum(0) / (rows.sum() - known).clamp(min=1)
        level = (spread.diagonal().mean() + 1e-12) * torch.eye(size, device=states.device)
        inverse = torch.linalg.inv((1 - _SHRINKAGE) * spread + _SHRINKAGE * level)
        away = states[:, None] - self.means[:known]  # [rows, tasks, size]
        likelihood = -0.5 * ((away @ inverse) * away).sum(-1) + rows.clamp(min=1e-9).log()
        found = torch.full((len(states), self.tasks), -torch.inf, device=states.device)
        found[:, :known] = likelihood.log_softmax(-1)
        return found

    def _finished(self, head: str, name: str) -> Tensor:
        return self.get_buffer(f"{head}.{name}".replace(".", "_"))

    def _states_of(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        self._collecting = True
        try:
            with torch.no_grad():
                model(**batch)
        except _Seen:
            assert self._collected is not None
            return self._collected
        finally:
            self._collecting = False
        raise RuntimeError("the pass never reached the lowest adapted layer")

    def _begin(
        self, _model: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Before a pass: note which tokens are none, and let rows come once for each adapter that they are read by."""
        self.numbers, self._mask = None, options.get("attention_mask")
        times = 1 if self.training or self._collecting else min(self._top_k, int(self.stage) + 1)
        if times == 1:
            return arguments, options
        again = {
            name: torch.cat([value] * times) if isinstance(value, Tensor) and value.ndim else value
            for name, value in options.items()
        }
        self._mask = again.get("attention_mask")
        return tuple(torch.cat([one] * times) if isinstance(one, Tensor) else one for one in arguments), again

    def _enter(self, _layer: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Before the lowest adapted layer: select."""
        if self.training and not self._collecting:
            return
        hidden = in_float32(arguments[0] if arguments else options["hidden_states"])
        mask = self._mask if self._mask is not None else torch.ones(hidden.shape[:2], device=hidden.device)
        real = mask[:, :, None].to(hidden.dtype)
        states = ((hidden * real).sum(1) / real.sum(1).clamp(min=1)) @ self.directions
        if self._collecting:
            self._collected = states
            raise _Seen
        times = min(self._top_k, int(self.stage) + 1)
        own = states.chunk(times)[0]
        self._likely = self.posterior(own)
        best = self._likely.topk(times, dim=-1).indices  # [rows, times]
        chosen = best.T.reshape(-1)
        # The adapter and the head that are learnt stand behind those that were put away, whatever their number is.
        self.numbers = chosen.where(chosen != self.stage, self.tasks - 1)

    def _of_tasks(self, head: str, module: nn.Module, given: tuple[Any, ...], found: Tensor) -> Tensor:
        """What a module of the head gives rows that were given to earlier tasks: by their own parameters."""
        numbers, self.numbers = self.numbers, None  # inside, the module is called with other rows
        try:
            for task in () if numbers is None else numbers.unique().tolist():
                if task < self.tasks - 1:
                    rows = numbers == task
                    own = {name: self._finished(head, name)[task] for name, _ in module.named_parameters()}
                    found = found.index_put((rows,), functional_call(module, own, (given[0][rows],)))
        finally:
            self.numbers = numbers
        return found

    def _end(self, _model: nn.Module, _arguments: tuple[Any, ...], output: Any) -> Any:
        """Behind a pass: of a task that is learnt its own classes, of a selection the classes of all tasks so far."""
        logits = output.logits.float()
        if self.numbers is None:
            own = self.classes[self.stage] > 0
            own = own if bool(own.any()) else torch.ones_like(own)
            output.logits = logits.masked_fill(~own, -torch.inf).log_softmax(-1).clamp(min=_APART)
            return output
        numbers = self.numbers.where(self.numbers != self.tasks - 1, self.stage)
        own = self.classes[numbers] > 0  # [rows · times, classes]
        within = logits.masked_fill(~own, -torch.inf).softmax(-1)
        rows = len(self._likely)
        alike = self.classes / self.classes.sum(-1, keepdim=True).clamp(min=1)  # [tasks, classes]
        shares, found = self._likely.exp(), torch.zeros(rows, logits.shape[-1], device=logits.device)
        for chosen, classes in zip(numbers.split(rows), within.split(rows), strict=True):
            share = shares.gather(1, chosen[:, None])
            found = found + share * classes
            shares = shares.scatter(1, chosen[:, None], 0.0)
        found = found + shares @ alike
        output.logits = ((1 - _DOUBT) * found + _DOUBT / found.shape[-1]).log()
        return output


def sequence_of(model: nn.Module) -> TaskSequence | None:
    """What a model knows of tasks that it learnt one after another, where it has adapters of them."""
    found = model._modules.get(TASK_SEQUENCE)
    return found if isinstance(found, TaskSequence) else None


def install_sequence(
    base: Base, layers: list[tuple[int, Linear]], rank: int, scale: float, top_k: int, draw: torch.Generator
) -> dict[str, nn.Parameter]:
    """Put adapters of tasks in turn on linear layers; what is trained by name."""
    model = base.description
    sequence = TaskSequence(base, max(1, len(model.row_tasks)), top_k, draw).to(base.model.device)
    trained: dict[str, nn.Parameter] = {}
    for layer, of in layers:
        path = model.path(layer, of.name)
        module = SequenceLora(base.model.get_submodule(path), of, rank, scale, sequence, draw).to(base.model.device)
        set_submodule(base.model, path, module)
        trained |= {f"{layer}.{of.name}.{name}": getattr(module, name) for name in ("first", "second")}
    sequence.watch(base, min(layer for layer, _ in layers))
    return trained
