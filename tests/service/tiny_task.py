"""A task small enough to train in a test: a random two-layer BERT and sentences whose words tell their class."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

WORDS = {"fruit": ("apple", "pear", "plum", "fig"), "tool": ("saw", "file", "drill", "axe")}
FILLER = ("the", "a", "old", "new", "big", "small", "one", "my", "red", "good")


def write_model(folder: Path) -> Path:
    """A randomly initialised BERT with its tokenizer, as Hugging Face folders are."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: n for n, word in enumerate([*special, *FILLER, *WORDS["fruit"], *WORDS["tool"]])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=2,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def write_rows(path: Path, rows: int, seed: int) -> Path:
    """A csv with the columns text and label."""
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            label = ("fruit", "tool")[number % 2]
            words = [*rng.choices(FILLER, k=rng.randint(3, 12)), rng.choice(WORDS[label])]
            rng.shuffle(words)
            writer.writerow([" ".join(words), label])
    return path


def tiny_job(folder: Path, trials: int, train_rows: int = 200, **changes: Any) -> dict[str, Any]:
    """Write model and data into `folder`; the JobSpec that searches on them."""
    return {
        "name": "tiny",
        "task": {
            "model": str(write_model(folder / "model")),
            "train": str(write_rows(folder / "train.csv", train_rows, 1)),
            "validation": str(write_rows(folder / "validation.csv", 40, 2)),
            "max_length": 32,
        },
        "space": {"preset": "lora"},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "trainable_params", "direction": "minimize"},
        ],
        "optimizer": {"name": "random"},
        "budget": {"trials": trials, "epochs": 2},
        "seed": 5,
        **changes,
    }
