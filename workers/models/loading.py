"""Load a frozen base model with a seeded head and its tokenizer. Needs torch.

The base stays in evaluation mode during training too: its own dropout is off. That keeps activations of frozen layers
constant, so that they can be computed once, and makes both training engines compute the same numbers; regularisation
belongs to the adapter (its dropout) and the optimizer (weight decay).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging as transformers_logging

from workers.assignment import Quantisation
from workers.errors import InvalidInput
from workers.models.agreement import check_loaded, check_weights
from workers.models.anatomy import Anatomy
from workers.models.description import ModelDescription, describe, describe_weights, require_head, with_head
from workers.models.heads import HIDDEN, SEQUENCE, Head, head_of
from workers.models.new_tokens import extend_model, extend_tokenizer, new_tokens
from workers.models.quantisation import keep_backward_pass, quantisation
from workers.models.references import read_config, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Base:
    """A frozen model that stays resident between trials.

    `head` names the modules that every trial trains from scratch, `kind` says what they are for.
    """

    model: PreTrainedModel
    description: ModelDescription
    kind: Head
    head: tuple[str, ...]
    head_size: int  # parameters of the head
    folder: str

    def head_modules(self) -> Mapping[str, nn.Module]:
        """The modules of the head by full name."""
        return {name: self.model.get_submodule(name) for name in self.head}

    def initialise_head(self, seed: int) -> None:
        """Draw the head afresh: weights normal with the model's initializer range, biases zero, norms one."""
        generator = torch.Generator().manual_seed(seed)
        config = self.model.config
        std = float(getattr(config, "initializer_range", getattr(config, "init_std", 0.02)))
        with torch.no_grad():
            for module in self.head_modules().values():
                for name, parameter in module.named_parameters():
                    draw_parameter(name, parameter, std, generator)


def draw_parameter(name: str, parameter: torch.Tensor, std: float, generator: torch.Generator) -> None:
    """Fill one parameter in place from a CPU generator (so that every device starts alike)."""
    if parameter.ndim >= 2:
        parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))
    else:
        parameter.fill_(1.0 if name.endswith("weight") else 0.0)


def load_base(
    reference: str,
    labels: int,
    device: str = "cpu",
    quantise: Quantisation | None = None,
    kind: Head = SEQUENCE,
    added_tokens: tuple[str, ...] = (),
) -> Base:
    """Load a base: safetensors only, no code from the hub, float32, frozen, evaluation mode.

    A fresh head has `labels` outputs. With `quantise` the weights of its linear layers are kept in so few bits.
    `added_tokens` get rows of its embeddings.

    BERT's pooler, which a checkpoint of a masked-language model does not hold, would be random: it joins the head and
    is trained and exported with it. Raises `InvalidInput` with field `model` where any other part of the body would be.
    """
    folder, stored = resolve(reference), read_config(reference)
    expected = describe(reference)
    require_head(expected, kind)
    check_weights(stored, folder)
    outputs = {"num_labels": labels} if kind.fresh else {}
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **outputs)
    if expected.anatomy.input_shape:
        config.pad_token_id = None  # asked for wherever a model is, and some configurations of images have none
    elif not _is_token(config.pad_token_id, config.vocab_size):
        config.pad_token_id = load_tokenizer(reference).pad_token_id
    with _quiet():
        model, info = getattr(transformers, kind.auto_class).from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **_storage(quantise, expected, device),
        )
    parts, differ = describe_model(model).anatomy, {name for name, *_ in info["mismatched_keys"]}
    check_loaded(parts, folder, set(info["missing_keys"]), differ, kind.fresh or kind.bare)
    check_parts(expected.anatomy, parts, model)
    if kind.bare:
        leave_out_head(model)
    extend_model(model, new_tokens(reference, added_tokens))
    return make_base(model, str(folder), missing=tuple(info["missing_keys"]), reference=reference, device=device)


def make_base(
    model: PreTrainedModel,
    folder: str,
    missing: tuple[str, ...] = (),
    reference: str = "",
    device: str = "cpu",
    head: tuple[str, ...] | None = None,
) -> Base:
    """Wrap a model that is in memory already, with the head of a task on it.

    `missing` names parameters that the checkpoint lacks; a known `head` overrules what follows from them.
    """
    description = describe_model(model, reference or folder)
    if getattr(model, "quantization_method", None) is None:
        nn.Module.to(model, device)  # typed, unlike the `to` that transformers wraps
    else:  # it is where it was loaded
        keep_backward_pass(model)
    model.eval().requires_grad_(False)
    kind = head_of(model)
    if not kind.fresh:
        head = ()
    if head is None:
        orphans = sorted({name.rpartition(".")[0] for name in missing})
        usual = _outside_body(model, description)
        head = (*(name for name in orphans if not name.startswith(usual)), *usual)
    size = sum(value.numel() for name in head for value in model.get_submodule(name).parameters())
    return Base(model, with_head(description, head, kind.fresh), kind, head, size, folder)


def leave_out_head(model: PreTrainedModel) -> None:
    """Make hidden states of the last layer the outputs of a model with a head for tokens; its class says so by name."""
    for name in _outside_body(model, describe_model(model)):
        setattr(model, name, nn.Identity())
    plain = type(model)
    model.__class__ = type(f"{plain.__name__.partition('For')[0]}{HIDDEN.endings[0]}", (plain,), {})


def describe_model(model: PreTrainedModel, reference: str = "") -> ModelDescription:
    """Describe a model in memory."""
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    return describe_weights(model.config.to_dict(), shapes, reference)


def check_parts(expected: Anatomy, found: Anatomy, model: nn.Module) -> None:
    """Raise `InvalidInput` where the weights of a class without a family have told of other parts than it has."""
    if found.known_parts:
        return
    kind, places = found.model_type, (expected.layers_path, expected.layers, expected.linears, expected.norms)
    allowed = "a class of docs/models.md"
    if places != (found.layers_path, found.layers, found.linears, found.norms):
        raise InvalidInput("model", f"a {kind} model whose layers are named otherwise in its checkpoint", allowed)
    layer = model.get_submodule(f"{found.layers_path}.0")
    for linear in found.linears:
        part = layer.get_submodule(linear.name)
        if not isinstance(part, nn.Linear):
            raise InvalidInput("model", f"a {kind} model whose {linear.name} is a {type(part).__name__}", allowed)


def _outside_body(model: PreTrainedModel, description: ModelDescription) -> tuple[str, ...]:
    """The parts of a model that are no part of its body and have something to learn, in its own order."""
    learning = (name for name, part in model.named_children() if next(part.parameters(), None) is not None)
    return tuple(name for name in learning if name != description.anatomy.body)


def _storage(quantise: Quantisation | None, model: ModelDescription, device: str) -> dict[str, Any]:
    """Further arguments of `from_pretrained` for a base in few bits; it is put on its device while it is loaded."""
    if quantise is None:
        return {}
    if not model.anatomy.known_parts:
        allowed = "nothing on a class without a family: what of it is its head is not known before it is loaded"
        raise InvalidInput("quantise", quantise, allowed)
    return {"quantization_config": quantisation(quantise, model.anatomy.head), "device_map": {"": device}}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the report about the classification head, which is missing from the checkpoint by design."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


def load_processor(reference: str, kind: Head, added_tokens: tuple[str, ...] = ()) -> Any:
    """What makes inputs of rows for a model with this kind of head: a tokenizer, or a reader of images or sounds."""
    match kind.processor:
        case "AutoImageProcessor":
            from workers.models.pixels import load_pixels

            return load_pixels(reference)
        case "AutoFeatureExtractor":
            from workers.models.spectrograms import load_spectrograms

            return load_spectrograms(reference)
    return load_tokenizer(reference, added_tokens)


def load_tokenizer(reference: str, added_tokens: tuple[str, ...] = ()) -> PreTrainedTokenizerBase:
    """The model's tokenizer with further tokens, which pads with a token of the model's vocabulary.

    Padding is masked, so any of its tokens will do: the one that config.json or the tokenizer names, where the
    embedding has a row for it, else the end token as decoders do that define none.
    """
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(resolve(reference), trust_remote_code=False)
    config = read_config(reference)
    candidates = (config.get("pad_token_id"), tokenizer.pad_token_id, *_rarely_in_texts(tokenizer), 0)
    vocabulary = describe(reference).anatomy.vocabulary
    padding = next(one for one in candidates if _is_token(one, vocabulary))
    if padding != tokenizer.pad_token_id:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding)
    extend_tokenizer(tokenizer, new_tokens(reference, added_tokens))
    return tokenizer


def _rarely_in_texts(tokenizer: PreTrainedTokenizerBase) -> tuple[int | None, ...]:
    return tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id


def _is_token(one: object, vocabulary: int) -> bool:
    return isinstance(one, int) and 0 <= one < vocabulary
