"""ViT and DeiT: encoders of the patches of an image, norms in front of the sublayers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family

# As transformers renames them while it loads, and back while it saves: files keep the names of the first release.
_STORED = (
    ("encoder.layer.", "layers."),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)


def vit(config: Mapping[str, Any]) -> Anatomy:
    """Describe a model of the family by its configuration."""
    body, hidden = config["model_type"], config["hidden_size"]
    channels, sides, patch = config.get("num_channels", 3), _sides(config["image_size"]), _sides(config["patch_size"])
    own = ("cls_token",) if body == "vit" else ("cls_token", "distillation_token")
    tokens = (sides[0] // patch[0]) * (sides[1] // patch[1]) + len(own)
    embeddings = f"{body}.embeddings"
    return replace(
        vit_layers(config, body, tokens),
        outside=(
            *((f"{embeddings}.{name}", (1, 1, hidden)) for name in own),
            (f"{embeddings}.position_embeddings", (1, tokens, hidden)),
            (f"{embeddings}.patch_embeddings.projection.weight", (hidden, channels, *patch)),
            (f"{embeddings}.patch_embeddings.projection.bias", (hidden,)),
            *norm_parameters(f"{body}.layernorm", hidden),
        ),
        reads="first",
        modality="image",
        input_shape=(channels, *sides),
        patch=patch,
    )


def vit_layers(config: Mapping[str, Any], body: str, tokens: int) -> Anatomy:
    """The layers of a `body` that reads rows of so many tokens; what lies outside of them is to be added."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    size = config.get("head_dim") or hidden // heads
    wide, bias = (hidden, heads * size), config.get("qkv_bias", True)
    norms = (Norm("layernorm_before", hidden, True), Norm("layernorm_after", hidden, True))
    return Anatomy(
        model_type=config["model_type"],
        hidden_size=hidden,
        layers=config["num_hidden_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=size,
        vocabulary=0,
        positions=tokens,
        body=body,
        layers_path=f"{body}.layers",
        attention="attention",
        feed_forward="mlp",
        linears=(
            linear("attention.q_proj", "query", wide, bias),
            linear("attention.k_proj", "key", wide, bias),
            linear("attention.v_proj", "value", wide, bias),
            linear("attention.o_proj", "output", wide[::-1]),
            linear("mlp.fc1", "up", (hidden, inner)),
            linear("mlp.fc2", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="",
        outside=(),
        head=("classifier",),
        causal=False,
        reads=None,
        takes_past=False,
        stored_names=_STORED,
    )


def _sides(value: int | list[int] | tuple[int, int]) -> tuple[int, int]:
    """Height and width."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


FAMILY = Family(
    "ViT, DeiT",
    ("vit", "deit"),
    vit,
    note="reads images; of DeiT the class token alone is read, as its `ForImageClassification` does",
    heads=frozenset({"ImageClassification"}),
)
