"""Load an exported adapter with plain `transformers` and `peft`, no peftsearch, and print its accuracy as JSON.

An adapter of a method that peft does not know has a format of its own; peftsearch loads that one.

python examples/check_adapter.py ADAPTER_FOLDER ROWS.jsonl BASE_MODEL [MAX_LENGTH]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

BATCH = 32
logging.set_verbosity_error()  # a new head on the base model is expected: the adapter brings the trained one
logging.disable_progress_bar()


def main(adapter: str, rows_file: str, base_model: str, max_length: str = "64") -> None:
    """Classify every row and compare with its label."""
    rows = [json.loads(line) for line in Path(rows_file).read_text(encoding="utf-8").splitlines()]
    classes = max(row["label"] for row in rows) + 1
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    base = AutoModelForSequenceClassification.from_pretrained(base_model, num_labels=classes)
    model = load(base, adapter).eval()
    correct = 0
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            texts = [row["text"] for row in batch]
            tokens = tokenizer(texts, truncation=True, max_length=int(max_length), padding=True, return_tensors="pt")
            predicted = model(**tokens).logits.argmax(dim=-1)
            correct += int((predicted == torch.tensor([row["label"] for row in batch])).sum())
    print(json.dumps({"accuracy": correct / len(rows), "rows": len(rows)}))


def load(base: torch.nn.Module, adapter: str) -> torch.nn.Module:
    """The base with the adapter on it."""
    if (Path(adapter) / "adapter_config.json").is_file():
        return PeftModel.from_pretrained(base, adapter)
    from peftsearch import load_adapter

    return load_adapter(base, adapter)


if __name__ == "__main__":
    main(*sys.argv[1:])
