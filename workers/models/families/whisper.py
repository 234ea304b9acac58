"""The encoder of Whisper: two convolutions over a spectrogram, norms in front of the sublayers, keys without a bias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy, Norm, linear, norm_parameters
from workers.models.families.family import Family

_KERNEL = 3  # of both convolutions; the second halves the frames
_STORED = (("model.encoder.", "encoder."),)


def whisper_encoder(config: Mapping[str, Any]) -> Anatomy:
    """Describe the encoder of a model of the family by the model's configuration."""
    if config.get("use_weighted_layer_sum"):
        allowed = "false: the head would read every layer, of which only the upper ones run"
        raise InvalidInput("model", "a whisper model with use_weighted_layer_sum", allowed)
    hidden, inner, heads = config["d_model"], config["encoder_ffn_dim"], config["encoder_attention_heads"]
    bins, tokens, square = config["num_mel_bins"], config["max_source_positions"], (hidden, hidden)
    norms = (Norm("self_attn_layer_norm", hidden, True), Norm("final_layer_norm", hidden, True))
    return Anatomy(
        model_type="whisper",
        hidden_size=hidden,
        layers=config["encoder_layers"],
        intermediate_size=inner,
        heads=heads,
        key_value_heads=heads,
        head_size=hidden // heads,
        vocabulary=0,
        positions=tokens,
        body="encoder",
        layers_path="encoder.layers",
        attention="self_attn",
        feed_forward="",  # two bare layers: the residual sum is in the same module
        linears=(
            linear("self_attn.q_proj", "query", square),
            linear("self_attn.k_proj", "key", square, bias=False),
            linear("self_attn.v_proj", "value", square),
            linear("self_attn.out_proj", "output", square),
            linear("fc1", "up", (hidden, inner)),
            linear("fc2", "down", (inner, hidden)),
        ),
        norms=norms,
        first_layer_norms=norms,
        word_embeddings="",
        outside=(
            ("encoder.conv1.weight", (hidden, bins, _KERNEL)),
            ("encoder.conv1.bias", (hidden,)),
            ("encoder.conv2.weight", (hidden, hidden, _KERNEL)),
            ("encoder.conv2.bias", (hidden,)),
            ("encoder.embed_positions.weight", (tokens, hidden)),
            *norm_parameters("encoder.layer_norm", hidden),
        ),
        head=("projector", "classifier"),
        causal=False,
        reads="all",  # the mean of all tokens
        takes_past=False,
        modality="sound",
        input_shape=(bins, 2 * tokens),
        stem=("conv1", "conv2"),
        stored_names=_STORED,
    )


FAMILY = Family(
    "Whisper (encoder)",
    ("whisper",),
    whisper_encoder,
    note="reads sounds with its encoder alone; what is shorter than its window is padded with silence, so that 30 "
    "seconds are computed for every word (see `builtin:whisper-base-2s`)",
    heads=frozenset({"AudioClassification"}),
)
