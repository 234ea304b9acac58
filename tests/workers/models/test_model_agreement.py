"""No frozen weight is ever random: config, checkpoint and tokenizer are of one model, at submit time and at load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.service.tiny_task import write_model
from tests.workers.tiny_models import BUILDERS, VOCABULARY, tiny_model
from workers.data.rows import Rows, TaskData
from workers.data.tokens import check_tokens, encode_texts, tokenise_data
from workers.errors import InvalidInput
from workers.models.agreement import check_loaded, check_weights, frozen_shapes
from workers.models.description import describe, with_texts
from workers.models.families.registry import anatomy
from workers.models.loading import load_base, load_tokenizer
from workers.models.references import is_hub, read_config, resolve
from workers.models.vocabulary import check_texts, check_tokenizer

Tensors = dict[str, torch.Tensor]


def _check(folder: Path) -> None:
    check_weights(read_config(str(folder)), folder)


def _saved(kind: str, folder: Path, change: Callable[[Tensors], Tensors] = lambda tensors: tensors) -> Path:
    model = tiny_model(kind)
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, {"format": "pt"})
    return folder


def _edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", BUILDERS)
def test_expected_weights_are_those_of_the_real_model(kind: str) -> None:
    model = tiny_model(kind)
    config = model.config.to_dict()
    fresh = (*(f"{name}." for name in anatomy(config).head), "bert.pooler.", "albert.pooler.")
    real = {name: tuple(value.shape) for name, value in model.named_parameters() if not name.startswith(fresh)}
    assert frozen_shapes(config) == real


@pytest.mark.parametrize("kind", BUILDERS)
def test_whole_bare_and_sharded_checkpoints_are_taken(kind: str, tmp_path: Path) -> None:
    model = tiny_model(kind)
    model.save_pretrained(tmp_path / "whole")
    getattr(model, model.base_model_prefix).save_pretrained(tmp_path / "bare")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    for name in ("whole", "bare", "shards"):
        _check(tmp_path / name)
    first = next(iter(frozen_shapes(model.config.to_dict())))
    torch.testing.assert_close(
        load_base(str(tmp_path / "bare"), labels=5).model.get_parameter(first), model.get_parameter(first).detach()
    )


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_part_of_another_size_is_refused_before_and_at_load(kind: str, tmp_path: Path) -> None:
    name = next(reversed(frozen_shapes(tiny_model(kind).config.to_dict())))
    _saved(kind, tmp_path, lambda tensors: tensors | {name: torch.zeros(7)})
    for check in (_check, lambda folder: load_base(str(folder), labels=3)):
        with pytest.raises(InvalidInput, match=r"in the checkpoint") as caught:
            check(tmp_path)
        assert caught.value.field == "model"
        assert name in caught.value.message
        assert "[7]" in caught.value.message


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_missing_part_is_refused(kind: str, tmp_path: Path) -> None:
    for number, name in enumerate(frozen_shapes(tiny_model(kind).config.to_dict())):
        if number % 9 == 0:
            folder = _saved(kind, tmp_path / str(number), lambda tensors, name=name: _without(tensors, name))  # type: ignore[misc]
            with pytest.raises(InvalidInput, match="missing, the first is") as caught:
                _check(folder)
            assert name in caught.value.message


def _without(tensors: Tensors, name: str) -> Tensors:
    return {other: value for other, value in tensors.items() if other != name}


@pytest.mark.parametrize("kind", BUILDERS)
def test_another_prefix_is_refused(kind: str, tmp_path: Path) -> None:
    _saved(kind, tmp_path, lambda tensors: {f"module.{name}": value for name, value in tensors.items()})
    with pytest.raises(InvalidInput, match=r"none of the model's weights.*module") as caught:
        load_base(str(tmp_path), labels=3)
    assert caught.value.field == "model"


def test_what_loading_leaves_random_is_refused_whatever_the_headers_say() -> None:
    parts = anatomy(tiny_model("bert").config.to_dict())
    check_loaded(parts, Path("m"), {"classifier.weight", "bert.pooler.dense.weight"}, {"classifier.weight"})
    bad: list[tuple[set[str], set[str]]] = [({"bert.encoder.layer.0.output.dense.bias"}, set())]
    for missing, mismatched in (*bad, (set[str](), {"bert.pooler.dense.bias"})):
        with pytest.raises(InvalidInput, match=r"in the size of config\.json"):
            check_loaded(parts, Path("m"), missing, mismatched)


def test_only_the_head_may_differ_and_old_names_of_norms_are_known(tmp_path: Path) -> None:
    def old(tensors: Tensors) -> Tensors:
        renamed = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in tensors.items()
        }
        return renamed | {"classifier.weight": torch.zeros(9, 24), "classifier.bias": torch.zeros(9)}

    base = load_base(str(_saved("bert", tmp_path, old)), labels=3)
    name = "bert.embeddings.LayerNorm.bias"
    torch.testing.assert_close(base.model.get_parameter(name), tiny_model("bert").get_parameter(name).detach())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_hidden_layers": 1}, "1 layers by config.json and 2 in the checkpoint"),
        ({"num_hidden_layers": 3}, "weights are missing"),
        ({"max_position_embeddings": 128}, r"\[128, 24\] by config.json and \[64, 24\]"),
        ({"vocab_size": 99}, r"\[99, 24\] by config.json"),
        ({"quantization_config": {"bits": 4}}, "stored quantised"),
    ],
)
def test_an_edited_config_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    _edit_config(_saved("bert", tmp_path), **changes)
    with pytest.raises(InvalidInput, match=said):
        _check(tmp_path)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 116744\n"


def _broken_files(folder: Path) -> dict[str, tuple[Callable[[], object], str]]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    shards = sorted(folder.glob("model-*.safetensors"))
    bad_index = json.dumps({"weight_map": {"a": "../../elsewhere.safetensors"}})
    return {
        "pointer": (lambda: single.write_text(POINTER), "pointer of Git LFS"),
        "cut off": (lambda: single.write_bytes(shards[0].read_bytes()[:-10]), "cut off after"),
        "cut off in the header": (lambda: single.write_bytes(shards[0].read_bytes()[:50]), "inside its header"),
        "no safetensors": (lambda: single.write_bytes(b"PK" * 40), "no safetensors file"),
        "empty": (lambda: single.write_bytes(b""), "no safetensors file"),
        "pointer as a shard": (lambda: shards[1].write_text(POINTER), "pointer of Git LFS"),
        "missing shard": (lambda: shards[1].unlink(), f"without {shards[1].name}"),
        "cut off shard": (lambda: shards[1].write_bytes(shards[1].read_bytes()[:-1]), "cut off after"),
        "exchanged shard": (lambda: shards[1].write_bytes(shards[0].read_bytes()), "in the shards"),
        "index that is none": (lambda: index.write_text("[]"), "a readable index"),
        "index that leads elsewhere": (lambda: index.write_text(bad_index), "files beside it"),
        "pickles only": (lambda: (index.unlink(), (folder / "pytorch_model.bin").write_text("")), "pytorch_model.bin"),
        "an adapter": (lambda: (folder / "adapter_config.json").write_text("{}"), "holds an adapter"),
        "config as a pointer": (lambda: (folder / "config.json").write_text(POINTER), "pointer of Git LFS"),
    }


BROKEN = (
    "pointer",
    "cut off",
    "cut off in the header",
    "no safetensors",
    "empty",
    "pointer as a shard",
    "missing shard",
    "cut off shard",
    "exchanged shard",
    "index that is none",
    "index that leads elsewhere",
    "pickles only",
    "an adapter",
    "config as a pointer",
)


@pytest.mark.parametrize("case", BROKEN)
def test_files_that_cannot_hold_the_weights_are_refused(case: str, tmp_path: Path) -> None:
    tiny_model("bert").save_pretrained(tmp_path, max_shard_size="20KB")
    break_it, said = _broken_files(tmp_path)[case]
    break_it()
    for check in (_check, lambda folder: load_base(str(folder), labels=3)):
        with pytest.raises(InvalidInput, match=said) as caught:
            check(tmp_path)
        assert caught.value.field == "model"
    if "config" not in case and "adapter" not in case:
        assert describe(str(tmp_path)).anatomy.layers == 2, "the description does not need weights"


def _tokenizer(folder: Path, words: list[str], **special: str) -> None:
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=words[0]))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special).save_pretrained(folder)


def test_padding_is_chosen_inside_the_vocabulary(tmp_path: Path) -> None:
    """GPT-2 whose tokenizer got `[PAD]` behind a vocabulary that the embedding did not follow."""
    _saved("gpt2", tmp_path)
    _edit_config(tmp_path, pad_token_id=None)
    words = [f"w{number}" for number in range(VOCABULARY)]
    _tokenizer(tmp_path, words, pad_token="[PAD]", eos_token="w2", unk_token="w0")
    assert load_tokenizer(str(tmp_path)).pad_token_id == 2
    assert load_base(str(tmp_path), labels=3).model.config.pad_token_id == 2
    found = check_tokenizer(tmp_path, VOCABULARY)
    assert found is not None
    check_texts(found, ["w3 w4"] * 3, VOCABULARY)
    with pytest.raises(InvalidInput, match=r"gives '\[PAD\]' an id beyond the 60 rows"):
        check_texts(found, ["w3 w4"] * 700 + ["w3 [PAD]"], VOCABULARY)


def test_padding_is_that_of_the_config_where_the_two_disagree(tmp_path: Path) -> None:
    """A decoder's head finds the last token by the config's padding, so batches must be padded with it."""
    _saved("llama", tmp_path)
    _tokenizer(tmp_path, [f"w{number}" for number in range(VOCABULARY)], pad_token="w5", eos_token="w2")
    assert load_tokenizer(str(tmp_path)).pad_token_id == 0
    _edit_config(tmp_path, pad_token_id=VOCABULARY)
    assert load_tokenizer(str(tmp_path)).pad_token_id == 5
    assert load_base(str(tmp_path), labels=3).model.config.pad_token_id == 5


def test_tokenizers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path)
    vocabulary = describe(str(tmp_path)).anatomy.vocabulary
    assert check_tokenizer(tmp_path, vocabulary) is not None
    with pytest.raises(InvalidInput, match="token ids up to 22, and 9 rows"):
        check_tokenizer(tmp_path, 9)
    (tmp_path / "tokenizer.json").write_text(POINTER)
    with pytest.raises(InvalidInput, match="pointer of Git LFS"):
        check_tokenizer(tmp_path, vocabulary)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InvalidInput, match="a tokenizer that can be read"):
        check_tokenizer(tmp_path, vocabulary)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(InvalidInput, match=r"without a tokenizer.*vocab\.txt"):
        check_tokenizer(tmp_path, vocabulary)
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": vocabulary}))
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(InvalidInput, match=f"token ids up to {vocabulary}"):
        check_tokenizer(tmp_path, vocabulary)
    (tmp_path / "vocab.txt").write_text("\n".join("abcde"))
    assert check_tokenizer(tmp_path, vocabulary) is None, "an older format, which transformers reads"


def test_a_tokenizer_that_does_not_know_the_texts_is_refused_twice(tmp_path: Path) -> None:
    found = check_tokenizer(write_model(tmp_path), 23)
    assert found is not None
    check_texts(found, ["the old apple", "qwerty my saw"], 23)
    with pytest.raises(InvalidInput, match="does not know 6 of 6 tokens"):
        check_texts(found, ["чай или кофе", "oui ou non"], 23)
    labels = np.array([0, 1], dtype=np.int32)
    strange = Rows(("чай или кофе", "oui ou non"), None, labels)
    tokenizer = load_tokenizer(str(tmp_path))
    with pytest.raises(InvalidInput, match="does not know 6 of 6 tokens"):
        check_tokens(
            tokenise_data(TaskData(("a", "b"), strange, strange, None), tokenizer, 16, encode_texts), tokenizer, 23
        )
    known = Rows(("the old apple", "the saw"), None, labels)
    data = tokenise_data(TaskData(("a", "b"), known, known, None), tokenizer, 16, encode_texts)
    check_tokens(data, tokenizer, 23)
    with pytest.raises(InvalidInput, match="an id beyond the 12 rows"):
        check_tokens(data, tokenizer, 12)


def test_a_hub_id_never_falls_back_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for reference in ("owner/name", "hub:owner/name"):
        assert is_hub(reference)
        with pytest.raises(InvalidInput, match="reachable hub id"):
            resolve(reference)
    assert not is_hub("./owner/name")
    assert resolve("./owner/name") == Path("./owner/name")


@pytest.mark.parametrize(("kind", "room"), [("bert", 14), ("roberta", 13), ("gpt2", 974), ("llama", None)])
def test_room_for_prompts_is_what_texts_leave(kind: str, room: int | None, tmp_path: Path) -> None:
    tiny_model(kind).config.save_pretrained(tmp_path)
    assert with_texts(describe(str(tmp_path)), 50).prompt_room == room
