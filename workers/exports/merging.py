"""An exported adapter folded into its base: `python -m workers.exports.merging ADAPTER FOLDER`. Needs torch.

The folder is a plain checkpoint for transformers, in the number format of the base, with tokenizer, chat template and
generation settings, and with a model card.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from workers.data.demonstrations import DEMONSTRATIONS_FILE
from workers.errors import InvalidInput
from workers.exports.merged_card import write_merged_card
from workers.exports.sentence_vectors import write_sentence_transformer
from workers.generation.stops import stop_tokens
from workers.methods.adapter_card import chat_template_of, new_tokens_of, section_of
from workers.methods.adapter_file import CONFIG_FILE
from workers.methods.loading import load_adapter
from workers.methods.neighbours import NEIGHBOURS_FILE
from workers.methods.own_adapter import fold
from workers.methods.registry import method
from workers.models.heads import head_of
from workers.models.loading import load_processor
from workers.models.references import read_config, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PEFT_CONFIG = "adapter_config.json"


def merge(adapter: Path, target: Path) -> None:
    """Write base and adapter as one checkpoint into the new folder `target`.

    Raises `InvalidInput`: with field `adapter` for a folder without one or an adapter that cannot be folded into
    weights, with field `folder` for a target that holds something, with field `model` where the base is gone.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput("folder", f"{target}, which holds something", "a folder that is empty or not there")
    if (adapter / NEIGHBOURS_FILE).is_file():
        allowed = "one without (`neighbours: 0`); export this one as an adapter"
        raise InvalidInput("adapter", "one that looks up training rows, which no plain checkpoint does", allowed)
    reference = base_of(adapter)
    model = merged(adapter, reference)
    processor = load_processor(reference, head_of(model), tuple(one.text for one in new_tokens_of(adapter)))
    if hasattr(processor, "chat_template"):
        processor.chat_template = chat_template_of(adapter) or processor.chat_template
    nn.Module.to(model, _stored_type(reference))  # typed, unlike the `to` that transformers wraps
    if model.can_generate():
        model.generation_config = _generation(reference, processor)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:  # nobody ever sees half of a checkpoint
        folder = Path(scratch) / "merged"
        section = section_of(adapter)
        kept: Any = model if section is None else model.base_model
        kept.save_pretrained(folder)
        processor.save_pretrained(folder)
        if section is not None:
            write_sentence_transformer(folder, model.config.hidden_size, section)
        if (adapter / DEMONSTRATIONS_FILE).is_file():
            shutil.copyfile(adapter / DEMONSTRATIONS_FILE, folder / DEMONSTRATIONS_FILE)
        write_merged_card(folder, adapter, type(model).__name__, vectors=section is not None)
        if target.exists():
            target.rmdir()
        folder.rename(target)


def base_of(adapter: Path) -> str:
    """The base that an exported adapter names, as a reference. Raises `InvalidInput` with field `adapter`."""
    if (adapter / CONFIG_FILE).is_file():
        return str(json.loads((adapter / CONFIG_FILE).read_text(encoding="utf-8"))["base_model"])
    if not (adapter / _PEFT_CONFIG).is_file():
        raise InvalidInput("adapter", str(adapter), f"a folder with {_PEFT_CONFIG} or {CONFIG_FILE}")
    config = json.loads((adapter / _PEFT_CONFIG).read_text(encoding="utf-8"))
    name, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(name, str) or not name:
        raise InvalidInput("adapter", f"{adapter / _PEFT_CONFIG} without a base", "one with base_model_name_or_path")
    return name if Path(name).is_dir() or not revision else f"{name}@{revision}"


def merged(adapter: Path, reference: str) -> PreTrainedModel:
    """The base in float32 with the adapter folded in: a plain model of transformers. Raises `InvalidInput`."""
    loaded: Any = load_adapter(reference, adapter)
    if (adapter / CONFIG_FILE).is_file():
        name = json.loads((adapter / CONFIG_FILE).read_text(encoding="utf-8"))["method"]
        if not method(name).mergeable:
            raise _stays(name)
        fold(loaded)
    else:
        kind = str(loaded.active_peft_config.peft_type.value)
        if loaded.active_peft_config.is_prompt_learning or not hasattr(loaded.base_model, "merge_and_unload"):
            raise _stays(kind)
        _untie(loaded.get_base_model())
        loaded = loaded.merge_and_unload(safe_merge=True)
    model: PreTrainedModel = loaded
    _say_what_is_tied(model)
    _check_plain(model)
    return model


def _check_plain(model: PreTrainedModel) -> None:
    """Raise `InvalidInput` where folding has left weights that the model's class has no place for, and would drop."""
    with torch.device("meta"):
        plain = type(model)(model.config)
    if beyond := sorted(model.state_dict().keys() - plain.state_dict().keys()):
        kind = type(model).__name__
        allowed = f"an adapter that changes weights which a {kind} has; export this one as an adapter"
        raise InvalidInput("adapter", f"one that folds into {beyond[0]}, which no {kind} has", allowed)


def _stays(kind: str) -> InvalidInput:
    return InvalidInput(
        "adapter",
        f"one of the method {kind}, which is no change of weights",
        "a method that folds into the base (`mergeable` in `peftsearch methods`); export this one as an adapter",
    )


def _untie(model: Any) -> None:
    """Give a layer of tied embeddings weights of its own where the adapter changes that layer alone.

    Folded into shared weights, what was trained for the one would change the other, too.
    """
    ends = model.get_input_embeddings(), model.get_output_embeddings()
    if ends[0] is None or ends[1] is None:
        return
    plain = [end.get_base_layer() if hasattr(end, "get_base_layer") else end for end in ends]
    if hasattr(ends[0], "get_base_layer") != hasattr(ends[1], "get_base_layer") and plain[0].weight is plain[1].weight:
        own = plain[0] if hasattr(ends[0], "get_base_layer") else plain[1]
        own.weight = nn.Parameter(own.weight.detach().clone(), requires_grad=False)


def _say_what_is_tied(model: PreTrainedModel) -> None:
    """Tie embeddings that are equal, as their class does, and have the configuration say where they no longer are."""
    ends = model.get_input_embeddings(), model.get_output_embeddings()
    if ends[0] is None or ends[1] is None or not getattr(model.config, "tie_word_embeddings", False):
        return
    left: Any = ends[0].weight
    right: Any = ends[1].weight
    if left is not right and not (left.shape == right.shape and torch.equal(left, right)):
        model.config.tie_word_embeddings = False
        model.all_tied_weights_keys = {}
    else:
        model.tie_weights()


def _stored_type(reference: str) -> torch.dtype:
    config = read_config(reference)
    name = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    found = getattr(torch, name, torch.float32)
    return found if isinstance(found, torch.dtype) else torch.float32


def _generation(reference: str, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """The base's settings; answers end where the base's did and where the chat template ends a turn."""
    folder = resolve(reference)
    there = (folder / "generation_config.json").is_file()
    found = GenerationConfig.from_pretrained(folder) if there else GenerationConfig()
    stops = list(stop_tokens(tokenizer, found))
    found.eos_token_id = stops[0] if len(stops) == 1 else stops or None
    if found.pad_token_id is None:
        found.pad_token_id = tokenizer.pad_token_id
    return found


if __name__ == "__main__":
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        merge(Path(sys.argv[1]), Path(sys.argv[2]))
    except (InvalidInput, ValueError) as error:
        sys.exit(str(error))
