"""Decoders with random weights, made from sizes alone: what is trained from scratch. Needs torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

_SPREAD = 0.55  # GPT-2's 0.02 at its width of 768
_PLACES = 0.1  # spread of the positions over that of the tokens: at first a token matters more than its place


def fresh_decoder(layers: int, width: int, heads: int, context: int, vocabulary: int, seed: int) -> GPT2LMHeadModel:
    """A GPT-2 of these sizes with tied embeddings and without dropout, its weights drawn from `seed`; all are trained.

    The weights follow GPT-2's scheme, its 0.02 scaled from width 768 to this one: with 0.02 a narrow model learns the
    frequencies of tokens and then stays there, for a time that depends on luck. `context` is the most tokens of a row.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocabulary, n_positions=context, n_embd=width, n_layer=layers, n_head=heads,
        activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        initializer_range=_SPREAD / math.sqrt(width), bos_token_id=0, eos_token_id=0, use_cache=False,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: GPT2LMHeadModel = GPT2LMHeadModel(config)
        nn.init.normal_(model.transformer.wpe.weight, std=_PLACES * config.initializer_range)
    model.eval()
    return model
