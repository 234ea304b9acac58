"""Tiny random models of every supported class, and a batch of padded token ids for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import transformers

from workers.models.description import ModelDescription
from workers.models.loading import Base, describe_model, make_base

VOCABULARY, CLASSES, LAYERS = 60, 3, 2
_IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_COMMON = {"vocab_size": VOCABULARY, "num_labels": CLASSES, "initializer_range": 0.2, **_IDS}
_ENCODER = {
    "hidden_size": 24,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}


def _bert() -> transformers.PreTrainedModel:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**_ENCODER, **_COMMON))


def _roberta() -> transformers.PreTrainedModel:
    return transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**_ENCODER, **_COMMON))


def _camembert() -> transformers.PreTrainedModel:
    return transformers.CamembertForSequenceClassification(transformers.CamembertConfig(**_ENCODER, **_COMMON))


def _distilbert() -> transformers.PreTrainedModel:
    sizes = {"dim": 24, "n_layers": LAYERS, "n_heads": 4, "hidden_dim": 48}
    return transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(**sizes, **_COMMON))


def _modernbert() -> transformers.PreTrainedModel:
    window = {"local_attention": 4, "global_attn_every_n_layers": 2, "cls_token_id": 1, "sep_token_id": 2}
    return transformers.ModernBertForSequenceClassification(
        transformers.ModernBertConfig(**_ENCODER, **_COMMON, **window)
    )


def _gpt2() -> transformers.PreTrainedModel:
    sizes = {"n_embd": 24, "n_layer": LAYERS, "n_head": 4}
    return transformers.GPT2ForSequenceClassification(transformers.GPT2Config(**sizes, **_COMMON))


def _llama() -> transformers.PreTrainedModel:
    return transformers.LlamaForSequenceClassification(
        transformers.LlamaConfig(**_ENCODER, num_key_value_heads=2, **_COMMON)
    )


def _gated(name: str, **own: object) -> Callable[[], transformers.PreTrainedModel]:
    """A decoder of Llama's kind: keys and values shared by two heads each, unless `own` says otherwise."""
    return _plain(name, **{"num_key_value_heads": 2, **own})


def _plain(name: str, **own: object) -> Callable[[], transformers.PreTrainedModel]:
    """A model with the sizes of the others and options of its own."""
    config, model = f"{name}Config", f"{name}ForSequenceClassification"
    options = {**_ENCODER, **_COMMON, **own}
    return lambda: getattr(transformers, model)(getattr(transformers, config)(**options))


_DISENTANGLED = {  # as DeBERTa-v3
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 8,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "type_vocab_size": 0,
}
_WINDOW = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}

BUILDERS: dict[str, Callable[[], transformers.PreTrainedModel]] = {
    "bert": _bert,
    "roberta": _roberta,
    "distilbert": _distilbert,
    "modernbert": _modernbert,
    "gpt2": _gpt2,
    "llama": _llama,
    "camembert": _camembert,
    "mistral": _gated("Mistral", head_dim=10, sliding_window=5),
    "qwen2": _gated("Qwen2", tie_word_embeddings=True),
    "qwen3": _gated("Qwen3", head_dim=8, num_key_value_heads=1),
    "gemma": _gated("Gemma", head_dim=8, num_key_value_heads=1),
    "gemma2": _gated("Gemma2", head_dim=8, query_pre_attn_scalar=8, **_WINDOW),
    "gemma3_text": _gated("Gemma3Text", head_dim=8, query_pre_attn_scalar=8, **_WINDOW),
    "phi3": _gated("Phi3"),
    "gpt_neox": _plain("GPTNeoX"),
    "modernbert-decoder": _plain("ModernBertDecoder", **_WINDOW),
    "electra": _plain("Electra", embedding_size=16),
    "deberta-v2": _plain("DebertaV2", **_DISENTANGLED),
    "mpnet": _plain("MPNet", pad_token_id=1),
    "albert": _plain("Albert", embedding_size=16),
}


def _funnel() -> transformers.PreTrainedModel:
    sizes = {"d_model": 24, "n_head": 4, "d_head": 6, "d_inner": 48, "block_sizes": [1, 1]}
    return transformers.FunnelForSequenceClassification(transformers.FunnelConfig(**sizes, **_COMMON))


_SIDES = {"ffn_dim": 48, "word_embed_proj_dim": 24}
UNKNOWN: dict[str, Callable[[], transformers.PreTrainedModel]] = {  # classes of transformers that have no family
    "opt": _plain("OPT", **_SIDES),
    "bloom": _plain("Bloom", n_layer=LAYERS, n_head=4),
    "falcon": _plain("Falcon", new_decoder_architecture=True, num_kv_heads=2),
    "deberta": _plain("Deberta", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "funnel": _funnel,
}


def _t5(name: str, **own: object) -> Callable[[], transformers.PreTrainedModel]:
    """An encoder alone, with heads of a size of their own; its head labels tokens."""
    sizes = {"d_model": 24, "num_layers": LAYERS, "num_heads": 4, "d_kv": 5, "d_ff": 48, "initializer_factor": 0.2}
    config, model = f"{name}Config", f"{name}ForTokenClassification"
    options = {**sizes, **_COMMON, "relative_attention_num_buckets": 8, **own}
    return lambda: getattr(transformers, model)(getattr(transformers, config)(**options))


TOKEN_BUILDERS: dict[str, Callable[[], transformers.PreTrainedModel]] = {  # transformers has other heads on other parts
    "t5": _t5("T5"),
    "mt5": _t5("MT5", feed_forward_proj="gated-gelu"),
    "umt5": _t5("UMT5", feed_forward_proj="gated-gelu"),
}
_EVERY = BUILDERS | UNKNOWN | TOKEN_BUILDERS


def tiny_model(kind: str) -> transformers.PreTrainedModel:
    """A random model, the same every time, with biases that are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _EVERY[kind]()
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name.endswith("bias"):
                    value.normal_(0.0, 0.1)
        return model


@cache
def tiny_description(kind: str) -> ModelDescription:
    """What is known of the same model by its configuration."""
    return describe_model(_EVERY[kind]())


def tiny_base(kind: str) -> Base:
    """The same model as a frozen base."""
    return make_base(tiny_model(kind), folder="tiny")


def batch() -> dict[str, torch.Tensor]:
    """Four rows of nine tokens; the first has six and is padded on the right."""
    ids = torch.randint(3, VOCABULARY, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


LABELS = torch.tensor([0, 1, 2, 1])
