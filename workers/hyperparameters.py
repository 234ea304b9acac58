"""Training hyperparameters of a trial, and how a configuration splits into method, knobs and hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.errors import InvalidInput
from workers.searched_settings import SEARCHED, settings_in

NO_STRATEGY = "none"
Schedule = Literal["linear", "cosine", "constant", "power"]
Packing = Literal["none", "bfd"]
DropBy = Literal["perplexity", "color", "random"]
Products = Literal["full", "fp8", "int8", "int6", "int4"]
Rotation = Literal["none", "hadamard"]


class Hyperparameters(BaseModel):
    """What the engines need besides the method's own knobs. Every field can be searched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of AdamW")
    batch_size: int = Field(default=16, ge=1, description="rows per forward pass")
    batch_tokens: int = Field(
        default=0, ge=0, description="tokens of a batch, in place of `batch_size` rows; 0: rows are counted"
    )
    packing: Packing = Field(
        default="none",
        description="`bfd`: rows share sequences of up to `max_length` tokens, best-fit decreasing, each seeing itself",
    )
    position_scale: int = Field(
        default=1,
        ge=1,
        le=64,
        description="rows train as if they stood anywhere in a text up to so many times as long (E²-LLM); 1 is off",
    )
    gradient_accumulation: int = Field(default=1, ge=1, description="forward passes per optimizer step")
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled, on matrices only (not biases and norms)")
    warmup_ratio: float = Field(
        default=0.06, ge=0, lt=1, description="share of all steps with a rising learning rate; not with `power`"
    )
    schedule: Schedule = Field(default="linear", description="how the learning rate falls after warm-up, if it does")
    power_amplitude: float = Field(default=4.0, gt=0, description="a of the schedule `power`, β·a·n^-0.51")
    power_warmup: float = Field(
        default=2000.0, ge=0, description="tokens over which `power` rises, in place of the warm-up by a share"
    )
    max_grad_norm: float = Field(default=1.0, ge=0, description="gradient clipping by global norm; 0 is off")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    dpo_beta: float = Field(
        default=0.1,
        gt=0,
        description="β of preferences: how dear it is to leave the base; of `orpo` λ, how much the odds count",
    )
    temperature: float = Field(
        default=0.05,
        gt=0,
        description="of retrieval: similarities are divided by it; the lower, the more near ones count",
    )
    task_sampling: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="of several tasks: they come in proportion to their rows to the power of this; 0: all alike",
    )
    task_weights: tuple[float, ...] = Field(
        default=(), description="of several tasks: the share of each, in place of `task_sampling`; a simplex in a space"
    )
    replay: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="of tasks in turn: rows of earlier ones that are kept and trained on again; 0: none",
    )
    eda_copies: int = Field(
        default=0, ge=0, le=16, description="altered copies of each training row beside it (EDA); 0 is off"
    )
    eda_share: float = Field(
        default=0.1, gt=0, le=0.5, description="share of a text's words that each of EDA's changes touches"
    )
    demos: int = Field(
        default=0, ge=0, le=16, description="training rows like a text that stand before it, answered; 0 is off"
    )
    neighbours: int = Field(
        default=0, ge=0, le=64, description="training rows near a row that vote on it beside the classifier; 0 is off"
    )
    neighbour_share: float = Field(
        default=0.3, ge=0, le=0.95, description="what neighbours count; the classifier counts the rest"
    )
    self_training: int = Field(
        default=0, ge=0, le=5, description="rounds in which a teacher names the classes of the task's unlabelled texts"
    )
    pool_share: float = Field(
        default=0.5, gt=0, le=1, description="of the texts that a teacher gives a class those it is surest of"
    )
    drop_share: float = Field(
        default=0.0, ge=0, le=0.95, description="share of the training rows that is left out before training; 0 is off"
    )
    drop_by: DropBy = Field(
        default="perplexity",
        description="which rows: those of the highest loss, those that training on the task's trusted rows does least "
        "good, or any, to compare with",
    )
    mixup: float = Field(
        default=0.0, ge=0, le=4, description="α of Beta(α, α), by which training rows of a batch are mixed; 0 is off"
    )
    contrast: float = Field(
        default=0.0, ge=0, le=10, description="weight of a loss that draws rows of a class together; 0 is off"
    )
    hint_share: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="what training images with hints of confused classes in a few patches count beside the plain ones; "
        "0 is off",
    )
    hint_bound: float = Field(
        default=0.01, gt=0, le=0.5, description="of hints: how far a pixel moves at most, of the range of pixels"
    )
    hint_patches: int = Field(default=3, ge=1, le=64, description="of hints: patches of an image at most")
    hint_threshold: float = Field(
        default=0.1,
        ge=0,
        description="of hints: a patch is taken whose attention has risen above the base's by this share of the mean",
    )
    products: Products = Field(
        default="full", description="training multiplies in so few bits, in simulation (HALO); `full`: as ever"
    )
    rotation: Rotation = Field(
        default="hadamard", description="both sides of such products are turned first, which spreads outliers"
    )
    spike_score: float = Field(
        default=0.0,
        ge=0,
        description="a loss so many standard deviations above the last ones undoes its step; 0 is off",
    )
    spike_window: int = Field(default=50, ge=10, description="losses that a spike is told by")
    spike_retries: int = Field(default=2, ge=1, le=10, description="steps undone in a row, each one step further back")
    strategy: str = Field(default=NO_STRATEGY, description="a training strategy, or `none`: AdamW on everything")
    strategy_knobs: dict[str, Any] = Field(default_factory=dict, description="in configurations `<strategy>.<knob>`")

    def rows_at_once(self, longest: int, max_length: int) -> int:
        """Rows of `longest` tokens in a forward pass, of a task whose rows have up to `max_length`."""
        tokens = self.batch_tokens or (self.batch_size * max_length if self.packing == "bfd" else 0)
        return max(1, tokens // longest) if tokens else self.batch_size


def split_config(config: Mapping[str, Any]) -> tuple[str, dict[str, Any], Hyperparameters]:
    """Split a trial's configuration into (method, knobs of the method, hyperparameters).

    `<method>.knob` and `knob` mean the same, so configurations of the `methods` tree and of a single method's space
    look alike from here on; `<strategy>.knob` belongs to the training strategy, and settings of the machine
    (`workers.searched_settings`) to none of the three. Raises `InvalidInput` naming what is out of range.
    """
    if "method" not in config:
        raise InvalidInput("method", None, "the name of a PEFT method such as `lora`")
    settings_in(config)
    method, left_out = str(config["method"]), {"method", *SEARCHED}
    plain = {name.removeprefix(f"{method}."): value for name, value in config.items() if name not in left_out}
    prefix = f"{plain.get('strategy', NO_STRATEGY)}."
    of_strategy = {name.removeprefix(prefix): plain.pop(name) for name in list(plain) if name.startswith(prefix)}
    fields = Hyperparameters.model_fields.keys() - {"strategy_knobs"}
    knobs = {name: value for name, value in plain.items() if name not in fields}
    own = {name: value for name, value in plain.items() if name in fields}
    try:
        hyperparameters = Hyperparameters(**own, strategy_knobs=of_strategy)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(str(first["loc"][0]), first["input"], first["msg"]) from error
    return method, knobs, hyperparameters
