"""A whole search: 64 trials of LoRA, by a script of Optuna, `Trainer` and peft one after another, and in packs.

Both sides make a model ready, train it for the same number of steps and evaluate it, for every trial. The script asks
Optuna for each configuration where it is installed; ours takes configurations drawn at random from the same space, and
places in the pack are refilled as trials end. No trial is ended early on either side: what is compared is the time of
a search, not what it finds.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import peft
import torch
import transformers

from benchmarks.gpu.cases import Case
from benchmarks.gpu.ours import attached, inputs, kept_nowhere, plan_of
from workers.engines.batches import StepPlan
from workers.engines.course import Ending, Evaluate, Request, TrainStep
from workers.engines.inputs import Inputs
from workers.engines.pack_member import Member
from workers.engines.packed import Aboard, Fault, pack_on
from workers.engines.precision import Precision
from workers.engines.ranks import OneProcess
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import capture_on
from workers.engines.stacked.reading import read_updates
from workers.engines.stacked.room import Room
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.way import STACKED, way_on
from workers.hyperparameters import Hyperparameters

RATES = (1e-4, 1e-2)
TARGETS = ("qv", "attention")


@dataclass(frozen=True)
class Size:
    """Trials of a search, steps of each, places of the pack, and the ranks of the space."""

    trials: int
    steps: int
    places: int
    ranks: tuple[int, ...]


SIZES = {"whole": Size(64, 32, 32, (2, 4, 8, 16, 32)), "tiny": Size(3, 2, 2, (2, 4, 8))}


@dataclass(frozen=True)
class Config:
    """What a trial trains with; alpha is twice the rank."""

    rank: int
    rate: float
    targets: str  # `qv` or `attention`


def drawn(size: Size) -> list[Config]:
    """Configurations at random."""
    random, (low, high) = np.random.default_rng(0), np.log(RATES)
    found = []
    for _ in range(size.trials):
        rank, rate = int(random.choice(size.ranks)), float(np.exp(random.uniform(low, high)))
        found.append(Config(rank, rate, str(random.choice(TARGETS))))
    return found


class Asked:
    """Gives the script its configurations and is told what they came to: Optuna, or draws where it is not there."""

    def __init__(self, size: Size) -> None:
        self._drawn, self._ranks = drawn(size), size.ranks
        try:
            import optuna
        except ImportError:
            self.by, self._study = "drawn at random: Optuna is not installed", None
            return
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.by = f"Optuna {optuna.__version__}"
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))

    def ask(self, number: int) -> Config:
        """The configuration of a trial."""
        if self._study is None:
            return self._drawn[number]
        self._trial = self._study.ask()
        return Config(
            self._trial.suggest_categorical("rank", self._ranks),
            self._trial.suggest_float("rate", *RATES, log=True),
            self._trial.suggest_categorical("targets", TARGETS),
        )

    def tell(self, loss: float) -> None:
        """What the last one came to."""
        if self._study is not None:
            self._study.tell(self._trial, loss)

    def know(self, config: Mapping[str, Any], loss: float) -> None:
        """What one of a run that was cut off came to."""
        if self._study is not None:
            self._study.enqueue_trial(dict(config))
            self.ask(0)
            self.tell(loss)


def script_trial(case: Case, device: torch.device, config: Config, steps: int) -> tuple[float, float]:
    """Seconds and validation loss of one trial of the script, its model's making included."""
    started = time.perf_counter()
    model = case.model(device, torch.float32)
    targets = case.targets if config.targets == "qv" else case.attention
    lora = peft.LoraConfig(
        task_type=case.kind.peft_type, r=config.rank, lora_alpha=2 * config.rank, target_modules=targets
    )
    train, validation = (_as_dicts(inputs(case, torch.device("cpu"))) for _ in range(2))
    with TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=case.rows, per_device_eval_batch_size=4 * case.rows,
            max_steps=steps, learning_rate=config.rate, save_strategy="no", eval_strategy="no", report_to="none",
            disable_tqdm=True, logging_steps=1000, bf16=device.type == "cuda", use_cpu=device.type == "cpu",
        )  # fmt: skip
        run = transformers.Trainer(
            model=peft.get_peft_model(model, lora), args=arguments, train_dataset=train, eval_dataset=validation
        )
        run.train()
        loss = float(run.evaluate()["eval_loss"])
    return time.perf_counter() - started, loss


def _as_dicts(rows: Inputs) -> list[dict[str, Any]]:
    """Rows as a user's data set has them."""
    batch = rows.labelled(np.arange(len(rows)))
    return [
        {name: values[row].tolist() for name, values in batch.items() if name in ("input_ids", "labels")}
        for row in range(len(batch["labels"]))
    ]


def in_packs(case: Case, device: torch.device, half: bool, size: Size) -> tuple[float, list[float], str | None]:
    """Seconds of the whole search in one pack whose places are refilled, its model's making included, losses, and why
    nothing was captured."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    resident, rows = case.resident(device, half), inputs(case, device)
    stack, aboard = Stack(size.places, device), Aboard()
    way = way_on(device) if device.type == "cuda" else STACKED
    capture, room, found = capture_on(device, way.captured), Room(), dict[Member, float]()
    waiting = iter(enumerate(drawn(size)))
    precision: Precision = "bf16" if half else "fp32"
    with kept_nowhere() as store:
        while True:
            for number, config in islice(waiting, size.places - len(aboard)):
                aboard[_member(case, resident, rows, config, number, size.steps, stack)] = None
            if not aboard:
                break
            with pack_on(resident, stack, 0, (rows, rows), store, precision, room, way, capture, OneProcess()) as pack:
                ended = pack.run(aboard, lambda: False)
            for member, ending in ended.items():
                if isinstance(ending, Fault):
                    raise RuntimeError(ending.reason)
                found[member] = ending.metrics["loss"]
                member.leave()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, list(found.values()), capture.reason


def _member(
    case: Case, resident: ResidentBase, rows: Inputs, config: Config, seed: int, steps: int, stack: Stack
) -> Member:
    own = Hyperparameters(learning_rate=config.rate, batch_size=case.rows)
    adapter = attached(
        resident, rows, seed, "lora", {"rank": config.rank, "alpha": 2 * config.rank, "targets": config.targets}
    )
    try:
        updates, factors = tuple(read_updates(adapter, resident.base)), adapter.rate_factors()
    finally:
        adapter.detach()
    course = _trial(islice(_steps(plan_of(case, rows, seed), config.rate, steps), steps))
    return Member(course, own, updates, torch.get_rng_state(), factors, 0, stack, seed)


def _steps(plan: StepPlan, rate: float, steps: int) -> Iterator[TrainStep]:
    """With a rate that falls, as `Trainer`'s does."""
    for number, batches in enumerate(plan.after(0), 1):
        yield TrainStep(number, batches, rate * (1 - (number - 1) / steps))


def _trial(steps: Iterator[TrainStep]) -> Generator[Request, Any, Ending]:
    for step in steps:
        _trained = yield step  # a generator's `yield from` would hand it to the iterator
    return Ending("completed", 0.0, 0.0, (yield Evaluate()))
