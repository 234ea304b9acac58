"""Tiny random models as folders of Hugging Face, with a tokenizer, and rows whose words tell their class."""

from __future__ import annotations

import random
from pathlib import Path

import torch
import transformers

WORDS = {"fruit": ("apple", "pear", "plum", "fig"), "tool": ("saw", "file", "drill", "axe")}
FILLER = ("the", "a", "old", "new", "big", "small", "one", "my", "red", "good")


def write_decoder(folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A GPT-2 of two layers that has no padding token, as decoders come, stored in a number format."""
    words = write_tokenizer(folder)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "initializer_range": 0.03}
    config = transformers.GPT2Config(vocab_size=words, bos_token_id=0, eos_token_id=0, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.GPT2Model(config).to(dtype).save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path, **special: str) -> int:
    """A tokenizer that knows the words of the rows, with an end token alone unless `special` says more; its size."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["<end>", *FILLER, *WORDS["fruit"], *WORDS["tool"]]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {"unk_token": "<end>", "eos_token": "<end>", **special}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    return len(words)


def write_rows(path: Path, rows: int, seed: int = 1) -> Path:
    """A csv with the columns text and label."""
    draw = random.Random(seed)
    lines = ["text,label"]
    for number in range(rows):
        label = ("fruit", "tool")[number % 2]
        words = [*draw.choices(FILLER, k=draw.randint(3, 8)), draw.choice(WORDS[label])]
        draw.shuffle(words)
        lines.append(f"{' '.join(words)},{label}")
    path.write_text("\n".join(lines) + "\n")
    return path
