"""Python code that loads a base model, and puts an adapter on it, with public libraries. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.builtins import builtin
from workers.models.heads import Head
from workers.models.references import HUB, is_hub

_WITHOUT_HEAD = """
for name, part in list(base.named_children()):  # what it gives as logits are the hidden states
    if part is not base.base_model:
        setattr(base, name, torch.nn.Identity())"""


def hub_name(reference: str) -> tuple[str, str | None]:
    """Name and revision of a reference to the hub."""
    name, _, revision = reference.removeprefix(HUB).partition("@")
    return name, revision or None


def loadable(reference: str, folder: str) -> tuple[str, str | None]:
    """What `from_pretrained` takes for a reference, and its revision: of what is not on the hub the folder it is in."""
    return hub_name(reference) if is_hub(reference) and reference != folder else (folder, None)


def base_snippet(reference: str, labels: str, head: Head) -> str:
    """Code that loads a base model with plain `transformers`, as `base`, the way the search loads it.

    `labels` is an expression, a dict from index to name, for a fresh head. Weights are in float32 however they are
    stored, and decoders that define no padding token take the end token.
    """
    return f"{_config(reference, labels, head)}\n{_loading(reference, head, 'base')}"


def rows_snippet(rows: int) -> str:
    """Code that gives the embeddings of `base` rows for new tokens, up to so many; nothing for none."""
    return (
        ""
        if not rows
        else f"""
tokenizer = AutoTokenizer.from_pretrained("this/folder")  # with the new tokens
if base.get_input_embeddings().num_embeddings < {rows}:
    base.resize_token_embeddings({rows}, mean_resizing=False)"""
    )


def scale_snippet(scale: int) -> str:
    """Code that has `base` divide rotary positions by `scale`, as training did; nothing for 1."""
    if scale == 1:
        return ""
    return f"""
for part in base.modules():  # positions are divided, as in training
    if hasattr(part, "inv_freq"):
        part.inv_freq /= {scale}"""


def fresh_base_snippet(reference: str, labels: str, head: Head, body: str) -> str:
    """The same for training: without the base's own dropout, and with `head`, the names of the modules to train anew.

    These are all beside the `body` and whatever else the checkpoint lacks.
    """
    return f"""{_config(reference, labels, head)}
config.update({{name: 0.0 for name in config.to_dict() if "drop" in name}})  # the search trains the adapter's alone
{_loading(reference, head, "base, found", "    output_loading_info=True,")}
missing = {{name.rpartition(".")[0] for name in found["missing_keys"]}}
head = [name for name, part in base.named_children() if name != {body!r} and list(part.parameters())]
head += sorted(name for name in missing if not name.startswith(tuple(head)))"""


def adapter_snippet(config_class: str, arguments: Mapping[str, Any], head: Head) -> str:
    """Code that puts a fresh adapter on `base` with plain `peft`, as `model`; `head` is trained with it."""
    lines = "\n".join(f"    {name}={value!r}," for name, value in arguments.items())
    task = head.task_type(config_class)
    kind = f"TaskType.{task}" if task else "None"
    return f"""adapter = {config_class}(
    task_type={kind},
    modules_to_save=head,
{lines}
)
model = get_peft_model(base, adapter)"""


def _config(reference: str, labels: str, head: Head) -> str:
    imports = ""
    if reference.startswith("builtin:"):
        imports = f"{builtin(reference).imports}\n"
    if head.processor != "AutoTokenizer":
        backend = ', backend="pil"' if head.processor == "AutoImageProcessor" else ""
        return f"""import torch
{imports}from transformers import AutoConfig, {head.auto_class}, {head.processor}

processor = {head.processor}.from_pretrained({_where(reference)}{backend})
{_labels(reference, labels)}"""
    return f"""import torch
{imports}from transformers import AutoConfig, {head.auto_class}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({_where(reference)})
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token
{_labels(reference, labels) if head.fresh else f"config = AutoConfig.from_pretrained({_where(reference)})"}
if config.pad_token_id not in range(config.vocab_size):
    config.pad_token_id = tokenizer.pad_token_id"""


def _labels(reference: str, labels: str) -> str:
    return f"""labels = {labels}
config = AutoConfig.from_pretrained({_where(reference)}, id2label=labels)
config.label2id = {{name: index for index, name in labels.items()}}"""


def _loading(reference: str, head: Head, target: str, *more: str) -> str:
    arguments = [f"    {_where(reference)},", "    config=config,", "    dtype=torch.float32,  # however it is stored"]
    own = ["    ignore_mismatched_sizes=True,  # the head's"] if head.fresh or head.bare else []
    lines = "\n".join([*arguments, *own, *more])
    return f"{target} = {head.auto_class}.from_pretrained(\n{lines}\n)" + (_WITHOUT_HEAD if head.bare else "")


def _where(reference: str) -> str:
    """The first arguments of `from_pretrained`."""
    if reference.startswith("builtin:"):
        return builtin(reference).path
    if not is_hub(reference):
        return repr(reference)
    name, revision = hub_name(reference)
    return repr(name) if revision is None else f"{name!r}, revision={revision!r}"
