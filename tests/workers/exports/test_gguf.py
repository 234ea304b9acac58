"""A GGUF file that we write is read back by transformers as the same model and tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.workers.tiny_language_model import save_tiny_llama, tiny_tokenizer
from workers.errors import InvalidInput
from workers.exports.gguf_writing import write_gguf
from workers.models.gguf_reading import convert

pytest.importorskip("gguf")
TEXT = "what is the sum of 1234 and 5?\n\n  the cat's mat"
IDS = torch.tensor([tiny_tokenizer().encode("what is the sum")])


def _logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits.float()
    return found


def _qwen(kind: Any, config: Any, folder: Path, head_dim: int) -> None:
    torch.manual_seed(0)
    model = kind(
        config(
            vocab_size=310,  # more rows than tokens, as Qwen's
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=head_dim,
            max_position_embeddings=256,
            initializer_range=0.3,
            tie_word_embeddings=False,
            rope_parameters={"rope_theta": 50_000.0, "rope_type": "default"},
        )
    )
    for name, value in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(value)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)


MODELS = {
    "llama": lambda folder: save_tiny_llama(folder),
    "llama untied, bfloat16": lambda folder: save_tiny_llama(folder, tied=False, dtype=torch.bfloat16),
    "qwen2": lambda folder: _qwen(Qwen2ForCausalLM, Qwen2Config, folder, 8),
    "qwen3": lambda folder: _qwen(Qwen3ForCausalLM, Qwen3Config, folder, 128),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_file_is_read_back_as_the_same_model(name: str, tmp_path: Path) -> None:
    MODELS[name](tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    write_gguf(tmp_path / "model", tmp_path / "out" / "model.gguf")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "out", gguf_file="model.gguf", dtype=torch.float32)
    torch.testing.assert_close(_logits(found), _logits(model), atol=1e-4, rtol=1e-4)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.gguf"]


def test_reading_gives_a_folder_of_plain_safetensors(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "model", dtype=torch.bfloat16)
    before = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    write_gguf(tmp_path / "model", tmp_path / "model.gguf")
    convert(tmp_path / "model.gguf", tmp_path / "back")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "back")
    assert model.dtype is torch.bfloat16
    torch.testing.assert_close(_logits(model), _logits(before), atol=0, rtol=0)
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert (config["rms_norm_eps"], config["tie_word_embeddings"]) == (1e-5, True)
    assert "quantization_config" not in config
    mine, theirs = tiny_tokenizer(), AutoTokenizer.from_pretrained(tmp_path / "back")
    assert theirs.encode(TEXT) == mine.encode(TEXT)
    assert theirs.chat_template == mine.chat_template
    turn = [{"role": "user", "content": "hi"}]
    assert theirs.apply_chat_template(turn)["input_ids"] == mine.apply_chat_template(turn)["input_ids"]
    assert (theirs.eos_token, theirs.pad_token) == ("<|end|>", "<|pad|>")
    assert model.generation_config.eos_token_id == 2


def test_what_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    for change, said in (
        ({"model_type": "gpt2"}, "a gpt2 model"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "ForSequenceClassification"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "type 'llama3'|type llama3"),
        ({"model_type": "mistral", "sliding_window": 8}, "8 tokens back"),
    ):
        path.write_text(json.dumps(config | change))
        with pytest.raises(InvalidInput, match=said):
            write_gguf(tmp_path / "model", tmp_path / "out.gguf")
    path.write_text(json.dumps(config))
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(InvalidInput, match="unknown here"):
        write_gguf(tmp_path / "model", tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()
