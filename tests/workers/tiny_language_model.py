"""A tiny random Llama with a byte-level tokenizer and a chat template, in memory and as a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
SPECIAL = ["<|pad|>", "<|start|>", "<|end|>"]
_TEXT = ["the cat sat on the mat", "what is the sum of three and four", "def add(a, b): return a + b"]


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """300 tokens of bytes and a few merges; digits stand alone, as in SmolLM2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|start|>", eos_token="<|end|>", pad_token="<|pad|>"
    )
    made.chat_template = TEMPLATE
    return made


def tiny_llama(tied: bool = True) -> LlamaForCausalLM:
    """Two layers of 32 with grouped keys; the same numbers every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tiny_tokenizer()),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=256,
                initializer_range=0.3,
                rms_norm_eps=1e-5,
                tie_word_embeddings=tied,
                bos_token_id=1,
                eos_token_id=2,
                pad_token_id=0,
            )
        ).eval()


def save_tiny_llama(folder: Path, tied: bool = True, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Write model and tokenizer; the model that was written."""
    model = tiny_llama(tied).to(dtype)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return model
