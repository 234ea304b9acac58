"""The README.md of an exported adapter: what it is, how good it was, how to load it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workers.data.chat.template import chat_template
from workers.exports.serving import serve_adapter
from workers.methods.adapter_names import TASK_FILE
from workers.methods.attached import AdapterCard
from workers.methods.snippets import base_snippet, hub_name, rows_snippet, scale_snippet
from workers.models.description import describe_config
from workers.models.new_tokens import NewToken, extend_model, new_tokens, rows_for
from workers.models.positions import stretch
from workers.models.processors import PROCESSOR_FILE
from workers.models.references import is_hub, resolve
from workers.models.row_tasks import TASK_IDS

_TEMPLATE = "chat_template"
_SECTION = "task"
_NEW_TOKENS = "new_tokens"
_SCALE = "position_scale"
_VECTORS = """A vector for each token, in `.logits`; a text's own is pooled from its tokens ({pooling}, `normalize:
{normalize}`). Queries are read behind `{query_prefix}`, documents behind `{document_prefix}`. `peftsearch export
--merged` writes a folder that sentence-transformers loads, if the method folds into the base."""
_HEAD = "head"
_ROW_TASKS = """ The model is called with `{name}`, too: a tensor with the number of each row's task ({numbers})."""
_GIVEN = {
    "AutoImageProcessor": "Its image processor is. It was given images upright: "
    '`ImageOps.exif_transpose(Image.open(file)).convert("RGB")`.',
    "AutoFeatureExtractor": "Its feature extractor is. It was given the mean of a sound's channels, resampled to "
    "`processor.sampling_rate` with `scipy.signal.resample_poly`: `processor(samples, sampling_rate=…)`.",
}
_PEFT = """from peft import PeftModel
{base}
model = PeftModel.from_pretrained(base, "this/folder").eval()"""
_OURS = """import peftsearch
{base}
model = peftsearch.load_adapter(base, "this/folder")"""
_LABELS = """    id2label=labels,
    label2id={name: index for index, name in labels.items()},
"""
_AUTO = """
Where the base model lies as it did, without the lines about it:
```python
import torch
from peft import {kind}

{before}model = {kind}.from_pretrained(
    "this/folder",
{options}    pad_token_id={padding!r},
    dtype=torch.float32,
).eval()
```
"""


def write_card(
    folder: Path, card: AdapterCard, plain_peft: bool, padding: int | None, row_tasks: Sequence[str] = ()
) -> None:
    """Write README.md with the configuration, the metrics, the outputs and the lines that load the adapter, and a JSON
    file with what a base model must be told: its labels, the id of the token that it was padded with, and the chat
    template where the job had one of its own; and with what the adapter can be refined by: configuration and seed.
    `row_tasks` are the tasks that the model must be told of its rows."""
    told: dict[str, Any] = {"labels": card.labels, "pad_token_id": padding, **_own_template(card)}
    told |= {} if card.head.peft_type and card.head.hands_on else {_HEAD: card.head.key}
    added = new_tokens(card.base_model, card.task.get(_NEW_TOKENS) or ())
    told |= {_NEW_TOKENS: [asdict(one) for one in added]} if added else {}
    told |= {_SCALE: card.position_scale} if card.position_scale > 1 else {}
    told |= {} if card.seed is None else {"config": dict(card.config), "seed": card.seed}
    told |= {_SECTION: dict(card.task)} if card.head.bare else {}
    (folder / TASK_FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    named = dict(enumerate(card.labels))
    base = base_snippet(card.base_model, repr(named), card.head) + rows_snippet(rows_for(0, added))
    base += scale_snippet(card.position_scale)
    code = (_PEFT if plain_peft else _OURS).format(base=base)
    kind = card.head.auto_class.replace("AutoModel", "AutoPeftModel")
    before, options = (f"labels = {named!r}\n", _LABELS) if card.head.fresh else ("", "")
    alone = (
        plain_peft and not card.head.bare and card.head.peft_type and card.head.hands_on and card.position_scale == 1
    )
    auto = _AUTO.format(kind=kind, before=before, options=options, padding=padding) if alone else ""
    metrics = "\n".join(f"| {name} | {value:.6g} |" for name, value in sorted(card.metrics.items()))
    outputs = ", ".join(f"{index} = {name}" for index, name in enumerate(card.labels)) or "not recorded"
    outputs = f"{outputs}. {card.reading}" if card.reading else outputs
    numbers = ", ".join(f"{number} = {name}" for number, name in enumerate(row_tasks))
    outputs += _ROW_TASKS.format(name=TASK_IDS, numbers=numbers) if row_tasks else ""
    outputs = outputs if card.head.fresh else "The next token, by the base model's own head."
    outputs = _VECTORS.format(**card.task) if card.head.bare and card.task else outputs
    own = " and its head" if card.head.fresh else ""
    tag = f"pipeline_tag: {card.pipeline_tag}\n" if card.pipeline_tag else ""
    text = f"""---
base_model: {json.dumps(card.base_model)}
library_name: {"peft" if plain_peft else "peftsearch"}
{tag}---
# {card.method} adapter for {card.base_model}

Found by peftsearch{f" as trial `{card.trial_id}`" if card.trial_id else ""}. The folder holds the adapter{own}; the
base model is not in it. {_kept_processor(folder, card)}

```python
{code}
```
{auto}
## Outputs
{outputs}

## Measured
| metric | value |
|---|---|
{metrics or "| – | – |"}

## Configuration
```json
{json.dumps({"config": dict(card.config), "task": dict(card.task)}, indent=2, default=str)}
```
{_serving(folder, card)}"""
    (folder / "README.md").write_text(text, encoding="utf-8")


def _kept_processor(folder: Path, card: AdapterCard) -> str:
    """What makes the model's inputs, which is put into the folder where it is not the base's tokenizer."""
    if texts := tuple(card.task.get(_NEW_TOKENS) or ()):
        from workers.models.loading import load_tokenizer

        tokenizer = load_tokenizer(card.base_model, texts)
        tokenizer.chat_template = _own_template(card).get(_TEMPLATE, tokenizer.chat_template)
        tokenizer.save_pretrained(folder)
        return f"The base model's tokenizer with {len(texts)} new tokens is."
    if card.head.processor == "AutoTokenizer":
        return "Tokens are counted with the base model's tokenizer."
    shutil.copyfile(resolve(card.base_model, weights=False) / PROCESSOR_FILE, folder / PROCESSOR_FILE)
    return _GIVEN[card.head.processor]


def _told(folder: Path) -> dict[str, Any]:
    """What an exported adapter says of itself; nothing where another program wrote it."""
    file = folder / TASK_FILE
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return told


def head_named_in(folder: Path) -> str | None:
    """The head of an exported adapter where peft has no name for it."""
    return _told(folder).get(_HEAD)


def _own_template(card: AdapterCard) -> dict[str, str]:
    path = card.task.get("chat_template_path")
    own = None if path is None else chat_template(card.base_model, path)
    return {} if own is None else {_TEMPLATE: own.source}


def new_tokens_of(folder: Path) -> tuple[NewToken, ...]:
    """The tokens that an exported adapter adds to its base."""
    return _new_tokens_in(_told(folder))


def _new_tokens_in(told: Mapping[str, Any]) -> tuple[NewToken, ...]:
    return tuple(NewToken(one["text"], one["id"], tuple(one["pieces"])) for one in told.get(_NEW_TOKENS, ()))


def chat_template_of(folder: Path) -> str | None:
    """The chat template that an exported adapter was trained with, where that is not its base's."""
    return _told(folder).get(_TEMPLATE)


def section_of(adapter: Path) -> dict[str, Any] | None:
    """The `task` section that an exported adapter of a model of vectors was trained by; None of all others."""
    return _told(adapter).get(_SECTION)


def _serving(folder: Path, card: AdapterCard) -> str:
    """How vLLM serves the adapter of a model that writes text, or why it has to be merged first."""
    if card.head.peft_type != "CAUSAL_LM":
        return ""
    base = hub_name(card.base_model)[0] if is_hub(card.base_model) else card.base_model
    if card.position_scale > 1:
        why = "vLLM does not divide positions for an adapter; merge it first"
        return f"\n## Serving\n{why} (`peftsearch export --merged`).\n"
    try:
        line = serve_adapter(folder, base, card.trial_id or "winner").replace(str(folder), "this/folder")
    except ValueError as error:
        return f"\n## Serving\n{error} (`peftsearch export --merged`).\n"
    return f"\n## Serving\nWith vLLM:\n```bash\n{line}\n```\n"


def tell_base(model: Any, folder: Path) -> None:
    """Name the labels of a base model as the adapter in `folder` was trained, its padding where it has none, and give
    it rows for the adapter's new tokens."""
    told = _told(folder)
    if not told:
        return
    extend_model(model, _new_tokens_in(told))
    if (scale := told.get(_SCALE, 1)) > 1:
        stretch(model, describe_config(model.config.to_dict()).anatomy, scale)
    if len(told["labels"]) == model.config.num_labels:
        model.config.id2label = dict(enumerate(told["labels"]))
        model.config.label2id = {name: index for index, name in enumerate(told["labels"])}
    if getattr(model.config, "pad_token_id", None) is None:
        model.config.pad_token_id = told["pad_token_id"]
