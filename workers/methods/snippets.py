"""Python code that repeats a configuration outside this product. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models.heads import Head
from workers.models.references import BUILTIN_PACKAGES, HUB, is_hub


def base_snippet(reference: str, labels: int | str, head: Head) -> str:
    """Code that loads a base model by its reference with plain `transformers`, as `base`."""
    imports = f"from transformers import {head.auto_class}\n"
    where = repr(reference)
    if reference.startswith("builtin:"):
        package = BUILTIN_PACKAGES[reference.removeprefix("builtin:")]
        imports, where = f"from {package} import get_model_path\n{imports}", "str(get_model_path())"
    elif is_hub(reference):
        name, _, revision = reference.removeprefix(HUB).partition("@")
        where = repr(name) + (f", revision={revision!r}" if revision else "")
    return f"{imports}\nbase = {head.auto_class}.from_pretrained({where}, num_labels={labels})"


def peft_snippet(config_class: str, arguments: Mapping[str, Any], base: str, head: Head) -> str:
    """Code that puts the adapter on its base model with plain `peft`."""
    lines = "\n".join(f"    {name}={value!r}," for name, value in arguments.items())
    return f"""from peft import {config_class}, TaskType, get_peft_model
{base_snippet(base, "NUM_LABELS", head)}
config = {config_class}(
    task_type=TaskType.{head.peft_type},
{lines}
)
model = get_peft_model(base, config)
"""


def own_snippet(base: str, head: Head) -> str:
    """Code that loads an exported adapter of one of our own methods."""
    return f"""import peftsearch
{base_snippet(base, "NUM_LABELS", head)}
model = peftsearch.load_adapter(base, "exported/adapter")  # peftsearch export TRIAL exported/adapter
"""
