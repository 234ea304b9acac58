"""What proxies are trained on and how: sections of a mixture job. Imports neither torch nor ray."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workers.assignment import Artifact, Traceparent
from workers.bounded import Location, Number

DomainName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,63}$", description="letters, digits and _")]
Weights = Annotated[dict[DomainName, Number], Field(max_length=64)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CorpusSpec(_Section):
    """Text by domain. A domain is a file or a folder of `.txt`, `.md` and `.jsonl` (field `text`) files; blank lines
    part the documents of plain text. Files named `train`, `validation` and `test` are those splits; other text is split
    by documents with the job's seed, a tenth each for validation and test."""

    domains: dict[DomainName, Location] = Field(min_length=2, max_length=64, description="path of each domain's text")
    vocabulary: int = Field(
        default=1024, ge=257, le=65536, description="byte-pair tokens, trained on the text; 257: plain bytes"
    )


class ProxySpec(_Section):
    """The proxy: a decoder with tied embeddings, trained with AdamW and a cosine schedule."""

    layers: int = Field(default=2, ge=1, le=48)
    width: int = Field(default=64, ge=8, le=4096, description="a multiple of `heads`")
    heads: int = Field(default=4, ge=1, le=128)
    context: int = Field(default=64, ge=8, le=8192, description="tokens a sequence")
    batch: int = Field(default=8, ge=1, le=4096, description="sequences a step")
    tokens: int = Field(default=300_000, ge=1_000, le=10**13, description="training tokens of each proxy")
    learning_rate: float = Field(default=5e-3, gt=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.tokens < self.batch * self.context:
            raise ValueError(f"tokens {self.tokens} are fewer than one batch of {self.batch} x {self.context}")
        return self

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.tokens // (self.batch * self.context)


class FilterSpec(_Section):
    """Which documents to keep before mixing, by the losses of small auxiliary models."""

    method: Literal["ppl_filter", "color_filter"] = Field(
        description="`ppl_filter` keeps the documents of lowest perplexity (POINTS, METHODS.md row 76); `color_filter` "
        "those whose loss falls most when the auxiliary model is tuned on the target (CoLoR-Filter, row 55)"
    )
    keep: float = Field(default=0.5, gt=0, lt=1, description="share of each domain's documents")


class SoupSpec(_Section):
    """Average the weights of the best proxies (model soup, METHODS.md row 76)."""

    kind: Literal["greedy", "uniform"] = "greedy"
    of: int = Field(default=4, ge=2, le=8, description="proxies, best first")


class Part(_Section):
    """A trained proxy and its share in an average."""

    model: Artifact
    weight: float


Role = Literal["train", "average", "soup", "filter"]


class ProxyAssignment(_Section):
    """One trial of a mixture job, read by a course as `workers.engines.course.Assigned`.

    `role`: `train` a proxy on `weights`; evaluate the `average` of `parts`; make a `soup` of `parts`; or write the
    `filter`'s selection of documents.
    """

    trial_id: str
    attempt: int
    role: Role
    corpus: CorpusSpec
    proxy: ProxySpec
    weights: Weights
    target: tuple[str, ...] = Field(min_length=1, description="domains whose validation losses are averaged to `loss`")
    seed: int
    data_seed: int = 0
    shared: float = Field(default=0.0, ge=0, lt=1, description="share of the steps on `shared_weights`, first")
    shared_weights: Weights = Field(default_factory=dict)
    keep_model: bool = False
    parts: tuple[Part, ...] = ()
    greedy: bool = True
    filter: FilterSpec | None = None
    selection: Artifact | None = Field(default=None, description="documents to train on")
    trace: Traceparent = None

    # A run reads its sequences once, reports twice, and begins afresh where it is lost.
    epochs: ClassVar[float] = 1.0
    reports_per_epoch: ClassVar[int] = 2
    report_at: ClassVar[tuple[float, ...]] = ()
    keep_checkpoints: ClassVar[bool] = False
    pause_every: ClassVar[float | None] = None
