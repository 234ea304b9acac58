"""A winner and its base answer side by side, each from its own side of the conversation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.workers.tiny_language_model import save_tiny_llama, tiny_llama, tiny_tokenizer
from workers.generation.answers import answer
from workers.generation.prompts import prompt_of
from workers.generation.settings import GenerationSettings
from workers.methods.attached import AdapterCard
from workers.methods.registry import method
from workers.models.heads import CAUSAL
from workers.models.loading import load_base

TURN = [{"role": "user", "content": "the cat"}]


def _adapter(folder: Path, name: str) -> Path:
    """An adapter that changes its base."""
    save_tiny_llama(folder / "base")
    base = load_base(str(folder / "base"), 0, kind=CAUSAL)
    chosen = method(name)
    attached = chosen.attach(base, chosen.complete(base.description, {}), 0, None)
    torch.manual_seed(2)
    with torch.no_grad():
        for value in attached.parameters().values():
            value.add_(torch.randn_like(value))
    attached.save(folder / "adapter", AdapterCard(name, str(folder / "base"), head=CAUSAL))
    return folder / "adapter"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lora", "adapter_pfeiffer"])
def test_both_answer(tmp_path: Path, name: str) -> None:
    adapter = _adapter(tmp_path, name)
    given = [str(adapter), "--max-new-tokens", "6"]
    done = subprocess.run(
        [sys.executable, "-m", "workers.generation.chat", *given],
        input="the cat\n\n/new\nthe cat\n",
        capture_output=True,
        text=True,
        check=True,
    )
    tokenizer = tiny_tokenizer()
    (alone,) = answer(tiny_llama(), tokenizer, [prompt_of(TURN, tokenizer)], GenerationSettings(max_new_tokens=6))
    first, second = (part.strip() for part in done.stdout.split("base:")[1:])
    assert first == second  # begun anew
    base, winner = first.split("winner:")
    assert base.strip() == alone.text
    assert winner.strip() != alone.text


def test_the_card_says_how_vllm_serves_it(tmp_path: Path) -> None:
    card = (_adapter(tmp_path, "lora") / "README.md").read_text()
    assert "--enable-lora --max-lora-rank 8 --lora-modules winner=this/folder" in card


def test_the_card_says_why_vllm_would_not(tmp_path: Path) -> None:
    card = (_adapter(tmp_path, "ia3") / "README.md").read_text()
    assert "found IA3; merge it first (`peftsearch export --merged`)" in card
