"""The README.md of a merged checkpoint. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from workers.exports.sentence_vectors import CARD
from workers.exports.serving import serve_merged
from workers.models.heads import HEADS, SEQUENCE

_CARD = "README.md"
_LOAD = """import torch
from transformers import {processor}, {kind}

{name} = {processor}.from_pretrained("this/folder"{options})
model = {kind}.from_pretrained("this/folder", dtype="auto").eval()"""
_ASK = """
messages = [{"role": "user", "content": "…"}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**inputs, max_new_tokens=128, do_sample=False)[0, inputs["input_ids"].shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))"""


def write_merged_card(folder: Path, adapter: Path, model_class: str, vectors: bool = False) -> None:
    """Say how the checkpoint in `folder` is loaded and served, and what the adapter's own card says of its training."""
    own = (adapter / _CARD).read_text(encoding="utf-8") if (adapter / _CARD).is_file() else ""
    header = own.partition("---\n")[2].partition("---\n")[0]
    kept = [line for line in header.splitlines() if line.startswith(("base_model:", "pipeline_tag:"))]
    title = next((line[2:] for line in own.splitlines() if line.startswith("# ")), "adapter")
    causal = model_class.endswith(("ForCausalLM", "LMHeadModel"))
    head = next((one for one in HEADS if model_class.endswith(one.endings)), SEQUENCE)
    plain = head.processor == "AutoTokenizer"
    name, options = ("tokenizer", "") if plain else ("processor", ', backend="pil"')
    code = _LOAD.format(kind=_auto_class(model_class, causal), processor=head.processor, name=name, options=options)
    if (folder / "chat_template.jinja").is_file():
        code += _ASK
    serve = f"\nServed by vLLM:\n```bash\n{serve_merged('this/folder')}\n```\n" if causal else ""
    code = CARD if vectors else code
    library = "sentence-transformers" if vectors else "transformers"
    lines = "\n".join([f"library_name: {library}", "base_model_relation: finetune", *kept])
    rest = "".join(f"## {part}" for part in own.split("\n## ")[1:])
    text = f"""---
{lines}
---
# Merged: {title}

The base model with the adapter folded into its weights, found by peftsearch.

```python
{code}
```
{serve}
{rest}"""
    (folder / _CARD).write_text(text.rstrip() + "\n", encoding="utf-8")


def _auto_class(model_class: str, causal: bool) -> str:
    if causal:
        return "AutoModelForCausalLM"
    return "AutoModelFor" + model_class.partition("For")[2]
