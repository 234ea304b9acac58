"""The models and batches that are measured: configurations with random weights, so that nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from workers.engines.resident import ResidentBase
from workers.models.heads import CAUSAL, SEQUENCE, Head
from workers.models.loading import make_base

CLASSES = 4
RANK, ALPHA, RATE = 8, 16, 1e-3


@dataclass(frozen=True)
class Case:
    """One model with the rows and tokens of a member's batch; LoRA sits on queries and values of all layers."""

    name: str
    config: Callable[[], transformers.PretrainedConfig]
    kind: Head
    rows: int
    tokens: int

    @property
    def targets(self) -> list[str]:
        """The layers as peft names them."""
        return ["query", "value"] if self.kind is SEQUENCE else ["q_proj", "v_proj"]

    @property
    def attention(self) -> list[str]:
        """All linear layers of attention, as peft names them."""
        if self.kind is SEQUENCE:
            return ["query", "key", "value", "attention.output.dense"]
        return ["q_proj", "k_proj", "v_proj", "o_proj"]

    @property
    def vocabulary(self) -> int:
        """Token ids below it are in the model's table."""
        return int(self.config().vocab_size)

    def model(self, device: torch.device, dtype: torch.dtype) -> transformers.PreTrainedModel:
        """The model with random weights, the same each time."""
        torch.manual_seed(0)
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with torch.device(device):
                auto = getattr(transformers, self.kind.auto_class)
                made: transformers.PreTrainedModel = auto.from_config(self.config())
                return made
        finally:
            torch.set_default_dtype(before)

    def resident(self, device: torch.device, half: bool) -> ResidentBase:
        """The frozen base as workers hold it, in bfloat16 where `half` says so."""
        from workers.models.half_precision import hold_in_bfloat16

        model = self.model(device, torch.float32)
        base = make_base(model, folder=self.name, device=device.type)
        # Hidden states are never stored here: every layer has an adapter. So nobody asks for a hash of the weights.
        return ResidentBase(hold_in_bfloat16(base) if half else base, weights_hash=self.name)


def _llama(**sizes: Any) -> Callable[[], transformers.PretrainedConfig]:
    return lambda: transformers.LlamaConfig(pad_token_id=0, **sizes)


_BERT: dict[str, Any] = {"vocab_size": 30522, "num_labels": CLASSES}
_HALF: dict[str, Any] = {
    "vocab_size": 32000, "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14,
    "num_key_value_heads": 2, "intermediate_size": 4864, "tie_word_embeddings": True,
}  # fmt: skip
_ONE: dict[str, Any] = {
    "vocab_size": 32000, "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 8192,
}  # fmt: skip
CASES = (
    Case("bert-base 8x64", lambda: transformers.BertConfig(**_BERT), SEQUENCE, 8, 64),
    Case("decoder-0.5b 2x512", _llama(**_HALF), CAUSAL, 2, 512),
    Case("decoder-0.5b 1x128", _llama(**_HALF), CAUSAL, 1, 128),
    Case("decoder-1.2b 2x512", _llama(**_ONE), CAUSAL, 2, 512),
)
_SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TINY = (
    Case("bert-base 8x64", lambda: transformers.BertConfig(**{**_BERT, **_SMALL, "vocab_size": 99}), SEQUENCE, 4, 8),
    Case("decoder-0.5b 2x512", _llama(vocab_size=99, num_key_value_heads=2, **_SMALL), CAUSAL, 2, 16),
    Case("decoder-0.5b 1x128", _llama(vocab_size=99, num_key_value_heads=2, **_SMALL), CAUSAL, 1, 8),
    Case("decoder-1.2b 2x512", _llama(vocab_size=99, num_key_value_heads=1, **_SMALL), CAUSAL, 2, 16),
)
"""The same on a model that a CPU trains in no time: they show that the script runs, and nothing else."""
