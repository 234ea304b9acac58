"""The README.md of an exported adapter: what it is, how good it was, how to load it."""

from __future__ import annotations

import json
from pathlib import Path

from workers.methods.attached import AdapterCard
from workers.methods.snippets import base_snippet

_LOAD_PEFT = """from peft import PeftModel
{base}
model = PeftModel.from_pretrained(base, "this/folder").eval()"""

_LOAD_OURS = """import peftsearch
{base}
model = peftsearch.load_adapter(base, "this/folder")"""


def write_card(folder: Path, card: AdapterCard, plain_peft: bool) -> None:
    """Write README.md with the configuration, the metrics, the outputs and the lines that load the adapter."""
    code = (_LOAD_PEFT if plain_peft else _LOAD_OURS).format(
        base=base_snippet(card.base_model, len(card.labels), card.head)
    )
    metrics = "\n".join(f"| {name} | {value:.6g} |" for name, value in sorted(card.metrics.items()))
    labels = ", ".join(f"{index} = {name}" for index, name in enumerate(card.labels))
    tag = f"pipeline_tag: {card.pipeline_tag}\n" if card.pipeline_tag else ""
    text = f"""---
base_model: {json.dumps(card.base_model)}
library_name: {"peft" if plain_peft else "peftsearch"}
{tag}---
# {card.method} adapter for {card.base_model}

Found by peftsearch{f" as trial `{card.trial_id}`" if card.trial_id else ""}. The folder holds the adapter and its
head; the base model is not in it. Tokens are counted with the base model's tokenizer.

```python
{code}
```

## Outputs
{labels or "not recorded"}

## Measured
| metric | value |
|---|---|
{metrics or "| – | – |"}

## Configuration
```json
{json.dumps({"config": dict(card.config), "task": dict(card.task)}, indent=2, default=str)}
```
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
