"""The command that serves an exported model with vLLM, or why vLLM would refuse it. Imports no torch.

What it refuses stands in vLLM's `lora/peft_helper.py` and `config/lora.py`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.methods.adapter_names import TERNARY_FILE

LARGEST_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` takes."""
_WITHOUT = {
    "modules_to_save": "modules that are trained whole",
    "use_dora": "DoRA",
    "lora_bias": "biases of LoRA's own",
    "rank_pattern": "ranks that differ between layers",
    "alpha_pattern": "scales that differ between layers",
    "trainable_token_indices": "trained tokens",
    "layer_replication": "layers that are used twice",
    "target_parameters": "parameters that are no layers",
}


def serve_merged(folder: str) -> str:
    """The command for a merged checkpoint."""
    return f"vllm serve {shlex.quote(folder)}"


def serve_adapter(folder: Path, base: str, name: str) -> str:
    """The command that serves an adapter of peft in `folder` on its base under a name.

    Raises `ValueError`, with what vLLM would refuse, for an adapter that has to be merged first.
    """
    if (folder / TERNARY_FILE).is_file():
        raise ValueError("vLLM does not read compressed adapters; merge it first")
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if reasons := refused(config):
        raise ValueError(f"vLLM does not serve this adapter as it is: {', '.join(reasons)}; merge it first")
    most = next(rank for rank in LARGEST_RANKS if rank >= config["r"])
    parts = ["vllm", "serve", base, "--enable-lora", "--max-lora-rank", str(most), "--lora-modules", f"{name}={folder}"]
    return " ".join(map(shlex.quote, parts))


def refused(config: Mapping[str, Any]) -> list[str]:
    """What of an adapter_config.json vLLM refuses, or would leave out without a word; empty where it serves it."""
    if config.get("peft_type") != "LORA":
        return [f"it knows LoRA alone, found {config.get('peft_type', 'an adapter that peft does not know')}"]
    reasons = [f"no {meaning} (`{name}`)" for name, meaning in _WITHOUT.items() if config.get(name)]
    if config.get("bias", "none") != "none":
        reasons.append(f"no trained biases (`bias: {config['bias']}`)")
    if config.get("task_type") != "CAUSAL_LM":
        reasons.append(f"decoders that write alone, found {config.get('task_type')}")
    if config["r"] > LARGEST_RANKS[-1]:
        reasons.append(f"ranks up to {LARGEST_RANKS[-1]}, found {config['r']}")
    return reasons
