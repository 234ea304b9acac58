"""Base models in 8 or 4 bits: loaded with bitsandbytes where it is installed, refused with what is missing elsewhere.

Dettmers et al. 2022 (LLM.int8(), arXiv 2208.07339) and 2023 (QLoRA's NF4, arXiv 2305.14314). The head and everything
that is trained stay in float32.
"""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import TYPE_CHECKING

from workers.assignment import Quantisation
from workers.errors import InvalidInput

if TYPE_CHECKING:
    from torch import nn
    from transformers import BitsAndBytesConfig

METHODS = frozenset({"base", "bm25", "head", "lora", "lora_plus", "ia3"})
"""Methods that leave a layer as it is or add to its output, so that they need not know how its weights are stored."""


def quantisation(kind: Quantisation, head: tuple[str, ...]) -> BitsAndBytesConfig:
    """How transformers shall load the base; modules named in `head` stay as they are.

    Raises `InvalidInput` where bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        missing = "nothing: bitsandbytes is not installed where this trial runs (`pip install 'peftsearch[quantise]'`)"
        raise InvalidInput("quantise", kind, missing)
    import torch
    from transformers import BitsAndBytesConfig

    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(head))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.float32,
        llm_int8_skip_modules=list(head),
    )


def keep_backward_pass(model: nn.Module) -> None:
    """Hold the quantised layers in training mode, whatever mode the model is in.

    In evaluation mode bitsandbytes switches to kernels for inference, which have no backward pass; and the base is in
    evaluation mode while adapters on it train. The layers have no dropout, so the mode means nothing else to them.
    """
    for module in model.modules():
        if type(module).__module__.startswith("bitsandbytes."):
            module.train()
            module.train = partial(_unchanged, module)  # type: ignore[method-assign]


def _unchanged(module: nn.Module, _mode: bool = True) -> nn.Module:
    return module


def check_method(kind: Quantisation, method: str) -> None:
    """Raise `InvalidInput` for a method that reads or rewrites weights, which it cannot in this form."""
    if method not in METHODS:
        raise InvalidInput("quantise", kind, f"nothing with {method}: it needs one of {', '.join(sorted(METHODS))}")
