"""A checkpoint as one GGUF file, for llama.cpp: `python -m workers.exports.gguf_writing FOLDER FILE`.

Weights keep their number format; nothing is quantised here (llama.cpp's own tools do that). Needs the package gguf.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoTokenizer

from workers.errors import InvalidInput
from workers.generation.stops import end_of_turn
from workers.models.pre_tokenizers import name_of
from workers.models.weights import weight_files

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedTokenizerBase

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""GGUF's name by `model_type`, of families whose layers it names one by one and in the same order."""
_NORMAL, _CONTROL, _USER, _UNUSED = 1, 3, 4, 5  # types of tokens


def write_gguf(folder: Path, file: Path) -> None:
    """Write the checkpoint in `folder`. Raises `InvalidInput`, and leaves no file, for what the format cannot hold."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    architecture = _architecture(config)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    pre = _pre_tokenizer(tokenizer)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        partial = Path(scratch) / file.name
        writer = _writer(partial, architecture)
        _write_sizes(writer, config, folder.resolve().name)
        _write_tokenizer(writer, tokenizer, pre, int(config["vocab_size"]))
        for name, values in _tensors(folder, config, architecture):
            _add(writer, name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(partial, file)


def _writer(path: Path, architecture: str) -> GGUFWriter:
    try:
        from gguf import GGUFWriter
    except ImportError:
        raise InvalidInput("gguf", "no package gguf", "pip install 'peftsearch[gguf]'") from None
    return GGUFWriter(path, architecture)


def _architecture(config: Mapping[str, Any]) -> str:
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise InvalidInput("gguf", f"a {kind} model", [f"{one} models" for one in ARCHITECTURES])
    heads = [str(name) for name in config.get("architectures") or ()]
    if not all(name.endswith("ForCausalLM") for name in heads):
        raise InvalidInput("gguf", heads[0], "a model that writes text (ForCausalLM)")
    rope = _rope(config)
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise InvalidInput("gguf", f"rotary positions of type {rope.get('rope_type', rope.get('type'))}", "plain ones")
    window = config.get("sliding_window")
    if config.get("use_sliding_window", kind == "mistral") and window and window < config["max_position_embeddings"]:
        raise InvalidInput("gguf", f"attention that sees {window} tokens back", "attention without a window")
    return ARCHITECTURES[kind]


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    return dict(config.get("rope_parameters") or config.get("rope_scaling") or {})


def _head_size(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _write_sizes(writer: GGUFWriter, config: Mapping[str, Any], name: str) -> None:
    heads, size = int(config["num_attention_heads"]), _head_size(config)
    writer.add_type("model")
    writer.add_name(name)
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(float(_rope(config).get("rope_theta") or config.get("rope_theta") or 10_000.0))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_vocab_size(int(config["vocab_size"]))


def _pre_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    kind = None if backend is None else json.loads(backend.to_str())["model"]["type"]
    name = name_of(backend) if backend is not None and kind == "BPE" else None
    if name is None:
        raise InvalidInput(
            "gguf",
            "a tokenizer that cuts texts in a way unknown here",
            "a byte-level BPE as GPT-2, SmolLM, Llama 3 or Qwen2",
        )
    return name


def _write_tokenizer(writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, pre: str, size: int) -> None:
    backend: Tokenizer = tokenizer.backend_tokenizer
    names = {number: token for token, number in backend.get_vocab(with_added_tokens=True).items()}
    added = backend.get_added_tokens_decoder()
    kinds = [_kind(number, names, added) for number in range(size)]
    merges = json.loads(backend.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([names.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types(kinds)
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    writer.add_add_bos_token(_adds_first(tokenizer))
    writer.add_add_space_prefix(False)
    end = end_of_turn(tokenizer)
    for add, token in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_eot_token_id, None if end == tokenizer.eos_token_id else end),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if token is not None:
            add(token)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


def _kind(number: int, names: Mapping[int, str], added: Mapping[int, Any]) -> int:
    if number not in names:
        return _UNUSED
    if number in added:
        return _CONTROL if added[number].special else _USER
    return _NORMAL


def _adds_first(tokenizer: PreTrainedTokenizerBase) -> bool:
    found = tokenizer.encode("a")
    return bool(found) and tokenizer.bos_token_id is not None and found[0] == tokenizer.bos_token_id


def _tensors(folder: Path, config: Mapping[str, Any], architecture: str) -> Iterator[tuple[str, Tensor]]:
    """Every weight by GGUF's name for it, in GGUF's order of rows."""
    from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

    kind = next(key for key, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names = get_tensor_name_map(MODEL_ARCH(kind), int(config["num_hidden_layers"]))
    heads = int(config["num_attention_heads"])
    turned = {"q_proj": heads, "k_proj": int(config.get("num_key_value_heads") or heads)}
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                    continue
                found = names.get_name(name, try_suffixes=(".weight", ".bias"))
                if found is None:
                    raise InvalidInput("gguf", f"the weight {name}", f"the weights of a plain {architecture} model")
                values, layer = file.get_tensor(name), name.split(".")[-2]
                yield found, _interleaved(values, turned[layer]) if _turns(architecture, layer) else values


def _turns(architecture: str, layer: str) -> bool:
    return architecture == "llama" and layer in ("q_proj", "k_proj")


def _interleaved(values: Tensor, heads: int) -> Tensor:
    """Rows of `[heads · size, …]` so that the two halves of each rotary pair lie beside each other."""
    rest = values.shape[1:]
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *rest).transpose(1, 2).reshape(values.shape)


def _add(writer: GGUFWriter, name: str, values: Tensor) -> None:
    """Matrices in the number format they are stored in, vectors in float32, as llama.cpp wants them."""
    from gguf import GGMLQuantizationType, quants

    if values.ndim == 1 or values.dtype is torch.float32:
        writer.add_tensor(name, values.float().numpy())
    elif values.dtype is torch.float16:
        writer.add_tensor(name, values.numpy())
    else:
        numbers: NDArray[np.float32] = values.float().numpy()
        packed = quants.quantize(numbers, GGMLQuantizationType.BF16)
        writer.add_tensor(name, packed, raw_dtype=GGMLQuantizationType.BF16)


if __name__ == "__main__":
    try:
        write_gguf(Path(sys.argv[1]), Path(sys.argv[2]))
    except (InvalidInput, OSError) as error:
        sys.exit(str(error))
