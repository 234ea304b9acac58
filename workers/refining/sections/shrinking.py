"""Steps after which a winner is smaller."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from workers.refining.sections.section import Epochs, Rate, Rates, Rows, Share, StepSection, Takes

Scale = Annotated[float, Field(gt=0, le=100)]


class CompressStep(StepSection):
    """ComPEFT: of what training changed, the largest entries by their sign and one scale; stored in a coded file."""

    step: Literal["compress"]
    keep: list[Share] = Field(
        default=[0.05, 0.1, 0.2, 0.3, 0.5], min_length=1, max_length=20, description="share of entries that are kept"
    )
    scales: tuple[Scale, ...] = Field(
        default=(0.5, 1, 2, 3, 4, 5, 6, 8, 10),
        min_length=1,
        max_length=50,
        description="α, in standard deviations of the change; the best on the validation rows is taken",
    )


class PruneStep(StepSection):
    """PERP: prune the base under a LoRA winner and retrain little of it: the winner's factors, whose update keeps the
    zeros, or biases, norms or the head alone."""

    step: Literal["prune_retrain"]
    retrain: list[Literal["factors", "biases", "norms", "biases_and_norms", "head"]] = Field(
        default=["factors"],
        min_length=1,
        max_length=5,
        description="what trains besides the head; all but `factors` leave the winner's update as it is",
    )
    pattern: list[Literal["free", "2:4"]] = Field(default=["free"], min_length=1, max_length=2)
    sparsity: list[Annotated[float, Field(ge=0.1, le=0.9)]] = Field(
        default=[0.5], min_length=1, max_length=9, description="of the pattern `free`"
    )
    learning_rate: Rates = Field(default=[1e-3])
    epochs: Epochs = 1.0
    takes: ClassVar[Takes] = "lora"

    def choices(self) -> list[dict[str, Any]]:
        """Every combination; 2:4 has the sparsity that its name says."""
        whole = super().choices()
        return [one for one in whole if one["pattern"] == "free" or one["sparsity"] == self.sparsity[0]]


class PruneExpertsStep(StepSection):
    """Of every mixture of a `mola` the half of its experts that is used most, trained on."""

    step: Literal["prune_experts"]
    choose: list[Literal["most_used", "random"]] = Field(
        default=["most_used"], min_length=1, max_length=2, description="`random`: any half, to compare with"
    )
    rows: Rows = Field(default=128, description="training rows whose tokens are counted")
    learning_rate: Rates = Field(default=[1e-3])
    epochs: Epochs = 1.0
    takes: ClassVar[Takes] = "mola"


class PelaStep(StepSection):
    """PELA: weights become products of thin matrices, distilled from the winner, then tuned on the task."""

    step: Literal["pela"]
    keep: list[Annotated[float, Field(ge=0.05, le=0.95)]] = Field(
        default=[0.33, 0.5, 0.67], min_length=1, max_length=10, description="share of the layers' parameters"
    )
    distil_steps: list[Annotated[int, Field(ge=0, le=100_000)]] = Field(
        default=[100], min_length=1, max_length=5, description="batches of 16 rows; 0: truncation alone"
    )
    distil_rate: Rate = Field(default=3e-4, description="learning rate of the distillation")
    learning_rate: Rates = Field(default=[1e-4])
    epochs: Epochs = 1.0
    takes: ClassVar[Takes] = "mergeable"


class DseeStep(StepSection):
    """DSEE: attention heads are taken out of the base, weights pruned, and a low-rank and a sparse update trained."""

    step: Literal["dsee"]
    pruned_heads: list[Annotated[float, Field(ge=0, le=0.75)]] = Field(
        default=[0.25], min_length=1, max_length=10, description="share of the heads of every layer"
    )
    sparsity: Annotated[float, Field(ge=0, le=0.9)] = Field(default=0.5, description="of the weights that are left")
    entries: int = Field(default=64, ge=1, le=4096, description="of the sparse update of every weight")
    rows: Rows = Field(default=128, description="training rows that tell which heads count")
    learning_rate: Rates = Field(default=[1e-3])
    epochs: Epochs = 1.0
    takes: ClassVar[Takes] = "lora"
