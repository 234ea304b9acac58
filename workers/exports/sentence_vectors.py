"""A folder that sentence-transformers loads as it is: the body of a model, how its vectors are pooled, and prefixes.

The layout is that of version 3 and later, which later ones read. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MODES = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "last": "pooling_mode_lasttoken"}
_PARTS = ("Transformer", "Pooling", "Normalize")
CARD = """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this/folder")
queries = model.encode(["…"], prompt_name="query")
documents = model.encode(["…", "…"], prompt_name="document")
print(model.similarity(queries, documents))"""


def write_sentence_transformer(folder: Path, width: int, task: Mapping[str, Any]) -> None:
    """Put what sentence-transformers reads beside a checkpoint and its tokenizer.

    Args:
        folder: of the checkpoint.
        width: numbers of a vector.
        task: the section that the model was trained by: `pooling`, `normalize`, `max_length`, and the two prefixes.
    """
    parts = _PARTS if task["normalize"] else _PARTS[:2]
    paths = ["", *(f"{number}_{name}" for number, name in enumerate(parts) if number)]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (name, path) in enumerate(zip(parts, paths, strict=True))
    ]
    pooling = {"word_embedding_dimension": width, **{mode: name == task["pooling"] for name, mode in _MODES.items()}}
    prompts = {"query": task.get("query_prefix", ""), "document": task.get("document_prefix", "")}
    similarity = "cosine" if task["normalize"] else "dot"
    written: dict[str, Any] = {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": task["max_length"], "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": prompts,
            "default_prompt_name": None,
            "similarity_fn_name": similarity,
        },
        "1_Pooling/config.json": pooling,
    }
    for path in paths[1:]:
        (folder / path).mkdir()
    for name, content in written.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
