"""Where things are inside a model: linear layers, norms, attention, feed-forward, head. Imports no torch.

Read from `config.json` alone, so parameter formulas are exact before any weight is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TARGETS: Mapping[str, frozenset[str]] = {
    "qv": frozenset({"query", "value"}),
    "attention": frozenset({"query", "key", "value", "output"}),
    "mlp": frozenset({"up", "down"}),
    "all": frozenset({"query", "key", "value", "output", "up", "down", "linear"}),
}

ReadToken = Literal["first", "last", "all"]
Modality = Literal["text", "image", "sound"]
"""What a row is that a model reads."""


@dataclass(frozen=True)
class Linear:
    """A linear layer inside an encoder layer. A fused query-key-value projection belongs to all three groups, one whose
    purpose is not known to the group `linear`."""

    name: str
    groups: frozenset[str]
    in_features: int
    out_features: int
    bias: bool
    transposed: bool = False  # GPT-2 stores [in, out]


@dataclass(frozen=True)
class Norm:
    """A LayerNorm or RMSNorm inside an encoder layer."""

    name: str
    size: int
    bias: bool


@dataclass(frozen=True)
class Anatomy:
    """One model class with the sizes of one configuration. Paths in `linears` … are relative to a layer."""

    model_type: str
    hidden_size: int
    layers: int
    intermediate_size: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    positions: int  # tokens a row may have
    body: str  # attribute of the model without its head
    layers_path: str
    attention: str
    feed_forward: str  # module whose output is added to the residual stream
    linears: tuple[Linear, ...]
    norms: tuple[Norm, ...]
    first_layer_norms: tuple[Norm, ...]  # ModernBERT's first layer lacks a norm
    word_embeddings: str
    outside: tuple[tuple[str, tuple[int, ...]], ...]  # parameters neither in a layer nor in the head, with their shapes
    head: tuple[str, ...]  # modules that a classification task trains from scratch
    causal: bool
    reads: ReadToken | None  # the token that the head reads; None: stored states do not stand for the layers below
    relative_positions: bool = False  # no table of positions: rows may be longer than the model was trained on
    depth: int = 0  # layers that a token passes: more than `layers` where these share their weights
    embedding_size: int = 0  # width of the word embeddings
    attention_output: str = ""  # module that adds the residual to the attention's output, where there is one
    fused_by_head: bool = False  # a fused projection gives query, key and value of a head side by side
    plain_attention: bool = True  # attention is the function that transformers looks up by name
    takes_past: bool = True  # layers take keys and values from outside, as peft gives them
    layers_return_tuples: bool = False
    projects_positions: bool = False  # some projections are applied to tables of relative positions
    mixed_precision: bool = True  # its code takes what products in bfloat16 give it, whatever adapters are in it
    rotary: bool = False  # one module makes plain rotary positions for all layers
    tells_rows_apart: bool = True  # rows that share a sequence are kept apart by their positions
    known_parts: bool = True  # what each linear layer is for is known, as in a family
    modality: Modality = "text"
    input_shape: tuple[int, ...] = ()  # of a row that is no text: an image [channels, height, width], a spectrogram
    patch: tuple[int, ...] = ()  # height and width of what one token of an image is made of
    stem: tuple[str, ...] = ()  # convolutions of the body that make the states below the layers, where it has no module
    stored_names: tuple[tuple[str, str], ...] = ()  # what checkpoints call parts that the model calls otherwise

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", self.depth or self.layers)
        object.__setattr__(self, "embedding_size", self.embedding_size or self.hidden_size)

    @property
    def special_tokens(self) -> int:
        """Tokens of the model's own in front of those of an image or a sound."""
        return sum(shape[:2] == (1, 1) for _, shape in self.outside)

    @property
    def token_types(self) -> tuple[str, tuple[int, int]]:
        """Path and shape [types, size] of the table that says which text of a pair a token is of; no types: none."""
        for path, shape in self.outside:
            if path.endswith("token_type_embeddings.weight"):
                return path.removesuffix(".weight"), (shape[0], shape[1])
        return "", (0, 0)

    @property
    def head_adds_constant(self) -> bool:
        """Whether the head for rows surely has a bias: those that transformers puts on decoders mostly have none."""
        return self.known_parts and not self.causal


def linear(name: str, groups: str, sizes: tuple[int, int], bias: bool = True, transposed: bool = False) -> Linear:
    """A linear layer from its name, its groups, and the sizes (in, out)."""
    return Linear(name, frozenset(groups.split()), *sizes, bias, transposed)


def norm_parameters(path: str, size: int, bias: bool = True) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The parameters of a norm."""
    return ((f"{path}.weight", (size,)), *(((f"{path}.bias", (size,)),) if bias else ()))
