"""Where things are inside the supported model classes: linear layers, norms, attention, feed-forward, head.

Read from `config.json` alone, so parameter formulas are exact before any weight is loaded. One function per class.
Module names are those of `transformers` 5 sequence-classification models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workers.errors import InvalidInput

TARGETS: Mapping[str, frozenset[str]] = {
    "qv": frozenset({"query", "value"}),
    "attention": frozenset({"query", "key", "value", "output"}),
    "mlp": frozenset({"up", "down"}),
    "all": frozenset({"query", "key", "value", "output", "up", "down"}),
}

ReadToken = Literal["first", "last", "all"]
READ_TOKEN: Mapping[str, ReadToken] = {
    "bert": "first",
    "roberta": "first",
    "xlm-roberta": "first",
    "distilbert": "first",
    "modernbert": "first",
    "gpt2": "last",
    "llama": "last",
}
"""Which token the head reads, by model type: those whose layers take hidden states first and return them alone, so that
stored states can stand for the layers below (checked by the equality tests)."""


@dataclass(frozen=True)
class Linear:
    """A linear layer inside an encoder layer. A fused query-key-value projection belongs to all three groups."""

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
    rotary: bool = False  # positions are rotations, so that rows may be longer than the model was trained on


def _linear(name: str, groups: str, sizes: tuple[int, int], bias: bool = True, transposed: bool = False) -> Linear:
    return Linear(name, frozenset(groups.split()), *sizes, bias, transposed)


def _norm(path: str, size: int, bias: bool = True) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The parameters of a norm."""
    return ((f"{path}.weight", (size,)), *(((f"{path}.bias", (size,)),) if bias else ()))


def _bert(config: Mapping[str, Any], body: str = "bert") -> Anatomy:
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    square = (hidden, hidden)
    norms = (Norm("attention.output.LayerNorm", hidden, True), Norm("output.LayerNorm", hidden, True))
    return Anatomy(
        model_type=config["model_type"],
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"] - (_padding(config) + 1 if body == "roberta" else 0),
        body=body,
        layers_path=f"{body}.encoder.layer",
        attention="attention.self",
        feed_forward="output",
        linears=(
            _linear("attention.self.query", "query", square),
            _linear("attention.self.key", "key", square),
            _linear("attention.self.value", "value", square),
            _linear("attention.output.dense", "output", square),
            _linear("intermediate.dense", "up", (hidden, inner)),
            _linear("output.dense", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings=f"{body}.embeddings.word_embeddings",
        outside=(
            (f"{body}.embeddings.word_embeddings.weight", (config["vocab_size"], hidden)),
            (f"{body}.embeddings.position_embeddings.weight", (config["max_position_embeddings"], hidden)),
            (f"{body}.embeddings.token_type_embeddings.weight", (config.get("type_vocab_size", 2), hidden)),
            *_norm(f"{body}.embeddings.LayerNorm", hidden),
            *_pooler(body, hidden),
        ),
        head=("classifier",),
        causal=False,
    )


def _padding(config: Mapping[str, Any]) -> int:
    """The padding token, which RoBERTa counts positions from."""
    found = config.get("pad_token_id")
    return found if isinstance(found, int) else 1


def _pooler(body: str, hidden: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The parameters between BERT's layers and its head; RoBERTa's classification models have none."""
    dense = f"{body}.pooler.dense"
    return ((f"{dense}.weight", (hidden, hidden)), (f"{dense}.bias", (hidden,))) if body == "bert" else ()


def _roberta(config: Mapping[str, Any]) -> Anatomy:
    return _bert(config, body="roberta")


def _distilbert(config: Mapping[str, Any]) -> Anatomy:
    hidden, inner, heads = config["dim"], config["hidden_dim"], config["n_heads"]
    square = (hidden, hidden)
    norms = (Norm("sa_layer_norm", hidden, True), Norm("output_layer_norm", hidden, True))
    return Anatomy(
        model_type="distilbert",
        hidden_size=hidden,
        layers=config["n_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="distilbert",
        layers_path="distilbert.transformer.layer",
        attention="attention",
        feed_forward="ffn",
        linears=(
            _linear("attention.q_lin", "query", square),
            _linear("attention.k_lin", "key", square),
            _linear("attention.v_lin", "value", square),
            _linear("attention.out_lin", "output", square),
            _linear("ffn.lin1", "up", (hidden, inner)),
            _linear("ffn.lin2", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="distilbert.embeddings.word_embeddings",
        outside=(
            ("distilbert.embeddings.word_embeddings.weight", (config["vocab_size"], hidden)),
            ("distilbert.embeddings.position_embeddings.weight", (config["max_position_embeddings"], hidden)),
            *_norm("distilbert.embeddings.LayerNorm", hidden),
        ),
        head=("pre_classifier", "classifier"),
        causal=False,
    )


def _modernbert(config: Mapping[str, Any]) -> Anatomy:
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    norm_bias = config.get("norm_bias", False)
    norms = (Norm("attn_norm", hidden, norm_bias), Norm("mlp_norm", hidden, norm_bias))
    return Anatomy(
        model_type="modernbert",
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="model",
        layers_path="model.layers",
        attention="attn",
        feed_forward="mlp",
        linears=(
            _linear("attn.Wqkv", "query key value", (hidden, 3 * hidden), attention_bias),
            _linear("attn.Wo", "output", (hidden, hidden), attention_bias),
            _linear("mlp.Wi", "up", (hidden, 2 * inner), mlp_bias),
            _linear("mlp.Wo", "down", (inner, hidden), mlp_bias),
        ),
        norms=norms,
        first_layer_norms=norms[1:],
        word_embeddings="model.embeddings.tok_embeddings",
        outside=(
            ("model.embeddings.tok_embeddings.weight", (config["vocab_size"], hidden)),
            *_norm("model.embeddings.norm", hidden, norm_bias),
            *_norm("model.final_norm", hidden, norm_bias),
        ),
        head=("head", "classifier"),
        causal=False,
        rotary=True,
    )


def _gpt2(config: Mapping[str, Any]) -> Anatomy:
    hidden, heads = config["n_embd"], config["n_head"]
    inner = config.get("n_inner") or 4 * hidden
    norms = (Norm("ln_1", hidden, True), Norm("ln_2", hidden, True))
    return Anatomy(
        model_type="gpt2",
        hidden_size=hidden,
        layers=config["n_layer"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=config["vocab_size"],
        positions=config["n_positions"],
        body="transformer",
        layers_path="transformer.h",
        attention="attn",
        feed_forward="mlp",
        linears=(
            _linear("attn.c_attn", "query key value", (hidden, 3 * hidden), transposed=True),
            _linear("attn.c_proj", "output", (hidden, hidden), transposed=True),
            _linear("mlp.c_fc", "up", (hidden, inner), transposed=True),
            _linear("mlp.c_proj", "down", (inner, hidden), transposed=True),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="transformer.wte",
        outside=(
            ("transformer.wte.weight", (config["vocab_size"], hidden)),
            ("transformer.wpe.weight", (config["n_positions"], hidden)),
            *_norm("transformer.ln_f", hidden),
        ),
        head=("score",),
        causal=True,
    )


def _llama(config: Mapping[str, Any]) -> Anatomy:
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    key_value_heads = config.get("num_key_value_heads") or heads
    head_size = config.get("head_dim") or hidden // heads
    attention_bias, mlp_bias = config.get("attention_bias", False), config.get("mlp_bias", False)
    wide, narrow = heads * head_size, key_value_heads * head_size
    norms = (Norm("input_layernorm", hidden, False), Norm("post_attention_layernorm", hidden, False))
    return Anatomy(
        model_type="llama",
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=key_value_heads,
        head_size=head_size,
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        body="model",
        layers_path="model.layers",
        attention="self_attn",
        feed_forward="mlp",
        linears=(
            _linear("self_attn.q_proj", "query", (hidden, wide), attention_bias),
            _linear("self_attn.k_proj", "key", (hidden, narrow), attention_bias),
            _linear("self_attn.v_proj", "value", (hidden, narrow), attention_bias),
            _linear("self_attn.o_proj", "output", (wide, hidden), attention_bias),
            _linear("mlp.gate_proj", "up", (hidden, inner), mlp_bias),
            _linear("mlp.up_proj", "up", (hidden, inner), mlp_bias),
            _linear("mlp.down_proj", "down", (inner, hidden), mlp_bias),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="model.embed_tokens",
        outside=(
            ("model.embed_tokens.weight", (config["vocab_size"], hidden)),
            *_norm("model.norm", hidden, bias=False),
        ),
        head=("score",),
        causal=True,
        rotary=True,
    )


_ARCHITECTURES: Mapping[str, Callable[[Mapping[str, Any]], Anatomy]] = {
    "bert": _bert,
    "roberta": _roberta,
    "xlm-roberta": _roberta,
    "distilbert": _distilbert,
    "modernbert": _modernbert,
    "gpt2": _gpt2,
    "llama": _llama,
}


def model_types() -> tuple[str, ...]:
    """Model classes that can be described, by `model_type` of their `config.json`."""
    return tuple(_ARCHITECTURES)


def anatomy(config: Mapping[str, Any]) -> Anatomy:
    """Describe the model of a parsed `config.json`. Raises `InvalidInput` for an unknown class or a missing size."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _ARCHITECTURES:
        raise InvalidInput("model", f"model_type {model_type!r}", model_types())
    try:
        return _ARCHITECTURES[model_type](config)
    except KeyError as error:
        raise InvalidInput("model", f"a config.json without {error}", "a complete config.json") from error
