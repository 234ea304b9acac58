"""The command for vLLM, and what vLLM would refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.exports.serving import serve_adapter

PLAIN = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 12, "bias": "none", "rank_pattern": {}}


def _folder(folder: Path, **change: Any) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(PLAIN | change))
    return folder


def test_the_rank_is_rounded_up_to_one_that_vllm_takes(tmp_path: Path) -> None:
    line = serve_adapter(_folder(tmp_path), "owner/name", "winner")
    assert line == (f"vllm serve owner/name --enable-lora --max-lora-rank 16 --lora-modules winner={tmp_path}")
    assert "--max-lora-rank 512" in serve_adapter(_folder(tmp_path, r=321), "owner/name", "winner")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"r": 513}, "ranks up to 512, found 513"),
        ({"modules_to_save": ["lm_head"]}, "`modules_to_save`"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias: all"),
        ({"rank_pattern": {"q_proj": 4}}, "`rank_pattern`"),
        ({"trainable_token_indices": [1]}, "trained tokens"),
        ({"task_type": "SEQ_CLS"}, "found SEQ_CLS"),
        ({"peft_type": "IA3"}, "found IA3"),
    ],
)
def test_what_vllm_refuses_is_said(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"{said}.*merge it first"):
        serve_adapter(_folder(tmp_path, **change), "owner/name", "winner")


def test_adapters_of_our_own_have_to_be_merged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="peft does not know"):
        serve_adapter(tmp_path, "owner/name", "winner")
