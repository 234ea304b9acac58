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
from workers.assignment import Assignment
from workers.errors import InvalidInput
from workers.exports.gguf_writing import write_gguf
from workers.exports.merging import merge
from workers.models.gguf_reading import convert
from workers.models.new_tokens import new_tokens
from workers.running.trial import train
from workers.running.workbench import Workbench

GGUFReader = pytest.importorskip("gguf").GGUFReader
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


NEW = ("<call>", "<answer>", "日本", "get weather")
"""The last two llama.cpp looks for as they stand; transformers' reader of GGUF takes them for pieces."""


@pytest.mark.parametrize("tied", [True, False])
def test_new_tokens_of_a_winner_are_in_the_file_and_read_back_as_tokens(
    tied: bool, bench: Workbench, tmp_path: Path
) -> None:
    save_tiny_llama(tmp_path / "model", tied=tied)
    lines = [{"prompt": f"the cat {n}:", "completion": f" {NEW[n % 4]} mat"} for n in range(12)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    task = {"type": "causal-lm", "model": str(tmp_path / "model"), "train": str(tmp_path / "rows.jsonl")}
    task |= {"validation": 0.25, "max_length": 64, "new_tokens": NEW}
    config = {"method": "lora", "rank": 2, "learning_rate": 2e-2, "batch_size": 4}
    assignment = Assignment.model_validate(
        {"trial_id": "t", "attempt": 1, "task": task, "config": config, "epochs": 2, "seed": 1}
        | {"measure_latency": False}
    )
    outcome = train(assignment, bench, lambda _: "continue")
    assert outcome.adapter is not None, outcome.reason
    merge(bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "adapter"), tmp_path / "merged")
    write_gguf(tmp_path / "merged", tmp_path / "model.gguf")

    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    mine = AutoTokenizer.from_pretrained(tmp_path / "merged")
    ids = mine.convert_tokens_to_ids(list(NEW))
    assert ids == list(range(len(mine) - 4, len(mine)))
    file = GGUFReader(tmp_path / "model.gguf")
    tokens, kinds = (file.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type"))
    assert len(tokens) == len(kinds) == len(merged.get_input_embeddings().weight) == merged.config.vocab_size
    assert tokens[ids[0] :] == list(NEW)
    assert kinds[ids[0] :] == [4, 4, 4, 4]  # user defined: matched as they are, and kept in answers
    rows = {one.name: tuple(one.shape) for one in file.tensors}
    assert rows["token_embd.weight"] == (32, len(tokens))
    assert ("output.weight" in rows) == (not tied)

    convert(tmp_path / "model.gguf", tmp_path / "back")
    found = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "back")
    text = f"the cat{NEW[0]} mat {NEW[1]}."
    asked = mine.encode(text)
    assert set(ids[:2]) <= set(asked)
    assert theirs.encode(text) == asked
    assert theirs.decode(asked, skip_special_tokens=True) == mine.decode(asked, skip_special_tokens=True) == text
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([asked])).logits.float() for model in (merged, found)]
    torch.testing.assert_close(logits[1], logits[0], atol=1e-4, rtol=1e-4)


def test_a_new_token_that_would_be_written_otherwise_is_refused(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "model")
    with pytest.raises(InvalidInput, match="which the model's tokenizer writes as") as refused:
        new_tokens(str(tmp_path / "model"), ("<call>", "größe"))
    assert refused.value.field == "new_tokens"


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
