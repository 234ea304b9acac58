"""A GGUF file into a folder that `from_pretrained` loads: `python -m workers.models.gguf_reading FILE FOLDER`.

Weights are unpacked into bfloat16 safetensors; tokenizer, chat template and generation settings come with them. Needs
torch and the package gguf.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gguf import GGUFReader
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging as transformers_logging

from workers.models.pre_tokenizers import PRE_TOKENIZERS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_OF_THE_FILE = ("quantization_config", "_name_or_path", "_model_name_or_path", "transformers_version")


def convert(file: Path, folder: Path) -> None:
    """Write the model in `file` to `folder`."""
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    cut = PRE_TOKENIZERS.get(_pre_tokenizer(file))
    if cut is not None:  # transformers knows but some of them
        tokenizer.backend_tokenizer.pre_tokenizer = cut()
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    model = _plain(read)
    model.generation_config = _generation(tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _pre_tokenizer(file: Path) -> str:
    """GGUF's name for how texts are cut before merging."""
    field = GGUFReader(file).get_field("tokenizer.ggml.pre")
    return "" if field is None else str(field.contents())


def _plain(read: PreTrainedModel) -> PreTrainedModel:
    """The same model without a trace of how it was stored, in bfloat16."""
    values: dict[str, Any] = {
        name: _shortest(value) for name, value in read.config.to_dict().items() if name not in _OF_THE_FILE
    }
    config = type(read.config)(**values | {"dtype": "bfloat16"})
    model: PreTrainedModel = type(read)(config)
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    nn.Module.to(model, torch.bfloat16)  # typed, unlike the `to` that transformers wraps
    return model


def _shortest(value: object) -> object:
    """A float32 of the file as people write it: 9.999999747378752e-06 is 1e-05."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _generation(tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )


if __name__ == "__main__":
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
