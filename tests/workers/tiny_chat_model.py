"""A random two-layer Llama with a chat template, and conversations whose answers follow from their questions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.service.tiny_task import FILLER, WORDS

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|unk|>", "<|im_start|>", "<|im_end|>")
_ROLES = ("system", "user", "assistant", "tool")


def write_language_model(folder: Path, template: str | None = TEMPLATE, tied: bool = True) -> Path:
    """A randomly initialised Llama and its tokenizer of words, as Hugging Face folders are."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = [*_SPECIAL, *_ROLES, *WORDS, *FILLER, *WORDS["fruit"], *WORDS["tool"], ".", "?"]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unk|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<|unk|>",
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=template,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.3,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=vocabulary["<|im_end|>"],
        pad_token_id=vocabulary["<|pad|>"],
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def conversation(rng: random.Random) -> dict[str, Any]:
    """A sentence with a fruit or a tool in it, and an answer that says which of the two."""
    kind = rng.choice(sorted(WORDS))
    words = [*rng.choices(FILLER, k=rng.randint(3, 9)), rng.choice(WORDS[kind])]
    rng.shuffle(words)
    turns = {"user": " ".join(words), "assistant": f"one {kind} ."}
    return {"messages": [{"role": role, "content": content} for role, content in turns.items()]}
