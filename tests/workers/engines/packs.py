"""Tiny trials trained together, and each by itself, step by step: what equality tests of packs share."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from tests.workers.tiny_models import CLASSES, VOCABULARY
from workers.data.tokens import Tokens
from workers.engines.batches import StepPlan
from workers.engines.course import Ending, Evaluate, Request, TrainStep
from workers.engines.fast import fast_trainee
from workers.engines.frozen import beside_base
from workers.engines.inputs import Inputs
from workers.engines.pack_member import Member
from workers.engines.packed import Aboard, Fault, Pack, pack_on
from workers.engines.precision import Precision
from workers.engines.prefix_store import PrefixStore
from workers.engines.ranks import OneProcess, Ranks
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import Capture, capture_on
from workers.engines.stacked.reading import read_updates
from workers.engines.stacked.room import Room, Width
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.way import Way
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached, TrainingSetup
from workers.methods.registry import method
from workers.models.loading import make_base
from workers.strategies.registry import with_strategy_knobs
from workers.strategies.running import strategy_of
from workers.tasks.catalogue.causal_lm import TASK as LANGUAGE
from workers.tasks.catalogue.preference import TASK as PREFERENCES
from workers.tasks.catalogue.token_classification import TASK as TAGS


@dataclass(frozen=True)
class Tiny:
    """A trial on a tiny model: how it trains, and what it trains."""

    method: str
    knobs: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 7
    strategy: tuple[str, Mapping[str, Any]] | None = None

    def hyperparameters(self) -> Hyperparameters:
        """Those of most tests with its own."""
        usual: dict[str, Any] = {"learning_rate": 2e-3, "batch_size": 8, "weight_decay": 0.02, "max_grad_norm": 0.5}
        if self.strategy is not None:
            usual |= {"strategy": self.strategy[0], "strategy_knobs": dict(self.strategy[1])}
        return Hyperparameters(**usual | dict(self.training))

    def makes_strategy(self, resident: ResidentBase, attached: Attached) -> Any:
        """What makes its strategy for parameters, if it has one."""
        description = resident.base.description
        return strategy_of(
            with_strategy_knobs(self.hyperparameters(), method(self.method), description),
            attached,
            description,
            self.seed,
        )

    def attach(self, resident: ResidentBase, train: Inputs, steps: int) -> Attached:
        """Put it on the base as it is before its first step."""

        def batches(size: int) -> Any:
            for start in range(0, len(train) - size, size):
                rows = np.arange(start, start + size)
                yield {**train.batch(rows), "labels": train.targets(rows)}

        one = method(self.method)
        values = one.complete(resident.base.description, self.knobs)
        setup = TrainingSetup(steps, batches, train.criterion.mean_loss)
        return one.attach(resident.base, values, self.seed, setup)

    def steps(self, train: Inputs, count: int) -> list[TrainStep]:
        """Its first steps, over epochs; the rate falls so that steps differ."""
        own = self.hyperparameters()
        together = train.criterion.together
        plan = StepPlan(train.lengths, own.batch_size, own.gradient_accumulation, 1000, self.seed, together=together)
        batches = plan.after(0)
        return [
            TrainStep(number, next(batches), own.learning_rate * (1 - number / (2 * count)))
            for number in range(1, count + 1)
        ]


@dataclass(frozen=True)
class Made:
    """What a training made: losses of its steps, metrics at its end, and what it trained by name."""

    losses: NDArray[np.float64]
    metrics: dict[str, float]
    parameters: dict[str, torch.Tensor]


def split(rows: int, seed: int, criterion: Any, vocabulary: int, targets: int, longest: int = 14) -> Inputs:
    """Random rows of 4 to `longest` tokens, for a task that gives each row, or each token, one of `targets`."""
    random = np.random.default_rng(seed)
    lengths = random.integers(4, longest, size=rows)
    ids = random.integers(3, vocabulary, size=lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    count = rows if criterion.targets == "row" else int(lengths.sum())
    return Inputs(Tokens(ids, None, offsets, random.integers(0, targets, count).astype(np.int32)), 0, criterion)


def language_model() -> tuple[ResidentBase, tuple[Inputs, Inputs]]:
    """A tiny decoder whose head nobody trains, with rows for training and evaluation."""
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    resident = ResidentBase.of(make_base(transformers.LlamaForCausalLM(config), folder="tiny"))
    criterion = LANGUAGE.criterion(None, ())
    return resident, (
        split(40, 0, criterion, VOCABULARY, VOCABULARY),
        split(12, 1, criterion, VOCABULARY, VOCABULARY),
    )


def pairs(store: PrefixStore) -> tuple[ResidentBase, tuple[Inputs, Inputs]]:
    """The decoder, and pairs of rows of which the first is preferred, with what the untouched base says of them."""
    resident, _ = language_model()
    spec = PREFERENCES.section.model_validate({"type": "preference", "model": "tiny", "train": "tiny"})
    criterion = PREFERENCES.criterion(spec, ())
    train, validation = (
        beside_base(resident, split(rows, seed, criterion, VOCABULARY, VOCABULARY), store)
        for rows, seed in ((40, 0), (12, 1))
    )
    return resident, (train, validation)


def tagger() -> tuple[ResidentBase, tuple[Inputs, Inputs]]:
    """A tiny encoder with a target for every token, and its rows."""
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=64, num_labels=CLASSES, initializer_range=0.2, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    resident = ResidentBase.of(make_base(transformers.BertForTokenClassification(config), folder="tiny"))
    criterion = TAGS.criterion(None, ("O", "B-x", "I-x"))
    return resident, (split(40, 0, criterion, VOCABULARY, CLASSES), split(12, 1, criterion, VOCABULARY, CLASSES))


def train_alone(
    resident: ResidentBase,
    tiny: Tiny,
    splits: tuple[Inputs, Inputs],
    steps: int,
    store: PrefixStore,
    precision: Precision = "fp32",
) -> Made:
    """On the fast engine, as a trial by itself."""
    attached = tiny.attach(resident, splits[0], steps)
    try:
        torch.manual_seed(tiny.seed)
        make = tiny.makes_strategy(resident, attached)
        own = None if make is None else make(attached.parameters())
        with fast_trainee(resident, attached, *splits, tiny.hyperparameters(), store, precision, own) as trainee:
            losses = [float(trainee.train_step(step)) for step in tiny.steps(splits[0], steps)]
            metrics = trainee.evaluate()
        trained = {name: value.detach().cpu().clone() for name, value in attached.parameters().items()}
    finally:
        attached.detach()
    return Made(np.array(losses), metrics, trained)


def train_together(
    resident: ResidentBase,
    members: Sequence[Tiny],
    splits: tuple[Inputs, Inputs],
    steps: int | Sequence[int],
    store: PrefixStore,
    way: Way,
    capture: Capture | None = None,
    places: int | None = None,
    precision: Precision = "fp32",
    ranks: Ranks | None = None,
    whole: ResidentBase | None = None,
) -> list[Made | Fault]:
    """In one pack; `steps` may differ from member to member. With fewer `places` than members each that ends makes room
    for the next. Over several `ranks` the base is in parts, and adapters are attached to one that is `whole`.
    """
    counts = [steps] * len(members) if isinstance(steps, int) else list(steps)
    stack, aboard = Stack(places or len(members), splits[0].device), Aboard()
    ranks = ranks or OneProcess()
    room, capture = Room(width=Width(clock=ranks.clock)), capture or capture_on(stack.device, way.captured)
    waiting, made = list(enumerate(zip(members, counts, strict=True))), dict[int, Made | Fault]()
    on_board: dict[Member, tuple[int, list[float], dict[str, float]]] = {}
    while waiting or aboard:
        while waiting and len(aboard) < stack.slots:
            number, (tiny, count) = waiting.pop(0)
            losses, metrics = list[float](), dict[str, float]()
            member = _member(whole or resident, tiny, splits[0], count, stack, losses, metrics)
            aboard[member], on_board[member] = None, (number, losses, metrics)
        lowest = min(member.lowest_layer for member in aboard)
        # A pass that fails would go through in halves, and nobody would know.
        with (
            patch.object(Pack, "_learn_from", _refuse),
            pack_on(resident, stack, lowest, splits, store, precision, room, way, capture, ranks) as pack,
        ):
            ended = pack.run(aboard, lambda: False)
        for member, ending in ended.items():
            trained, (number, losses, metrics) = member.leave(), on_board.pop(member)
            trained = {name: value.cpu() for name, value in trained.items()}
            made[number] = ending if isinstance(ending, Fault) else Made(np.array(losses), metrics, trained)
    return [made[number] for number in sorted(made)]


def _member(
    resident: ResidentBase,
    tiny: Tiny,
    train: Inputs,
    steps: int,
    stack: Stack,
    losses: list[float],
    metrics: dict[str, float],
) -> Member:
    attached = tiny.attach(resident, train, steps)
    try:
        updates = tuple(read_updates(attached, resident.base))
        factors, lowest = attached.rate_factors(), attached.lowest_layer
        strategy = tiny.makes_strategy(resident, attached)
    finally:
        attached.detach()
    torch.manual_seed(tiny.seed)
    course, state = _course(tiny.steps(train, steps), losses, metrics), torch.get_rng_state()
    member = Member(course, tiny.hyperparameters(), updates, state, factors, lowest, stack, tiny.seed)
    if strategy is not None:
        member.follow(strategy)
    return member


def _refuse(_pack: Pack, error: Exception, _members: int) -> None:
    raise error


def _course(
    steps: Sequence[TrainStep], losses: list[float], metrics: dict[str, float]
) -> Generator[Request, Any, Ending]:
    for step in steps:
        trained = yield step
        losses.append(float(trained.loss))
    metrics |= yield Evaluate()
    return Ending("completed", 0.0, 0.0)


def assert_alike(packed: Made | Fault, alone: Made) -> None:
    """Losses of every step, metrics and trained numbers agree."""
    assert isinstance(packed, Made), packed
    np.testing.assert_allclose(packed.losses, alone.losses, rtol=1e-4)
    for name, value in alone.metrics.items():
        assert abs(packed.metrics[name] - value) <= 1e-4 * max(abs(value), 1.0), name
    assert packed.parameters.keys() == alone.parameters.keys()
    for name, value in alone.parameters.items():
        if name.endswith(("key.bias", "key.shift")):  # softmax ignores it: its gradient is rounding alone
            continue
        # As a whole: where a gradient is rounding alone, Adam makes whole steps of it in a single entry.
        difference = float((packed.parameters[name] - value).norm())
        assert difference <= 2e-3 * float(value.norm()) + 1e-4 * value.numel() ** 0.5, name
