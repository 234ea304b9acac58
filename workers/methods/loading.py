"""Load exported adapters onto a base model. `peftsearch.load_adapter` finds this through an entry point."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def load_adapter(model: Any, folder: str | Path) -> nn.Module:
    """Put an exported adapter on its base model and return it in evaluation mode.

    `model` is the sequence-classification base model with as many labels as the adapter's head, or a reference to one
    (`builtin:minilm`, a folder, a hub id). Adapters in peft's format come back as a `PeftModel`; ours change the given
    model in place. Raises `ValueError` when the folder holds no adapter or it does not fit the model.
    """
    path = Path(folder)
    if (path / "adapter_config.json").is_file():
        return _load_peft(model, path)
    if not (path / "peftsearch_adapter.json").is_file():
        raise ValueError(f"{path}: neither adapter_config.json (peft) nor peftsearch_adapter.json is there")
    return _load_own(model, path)


def _load_peft(model: Any, path: Path) -> nn.Module:
    from peft import PeftModel
    from safetensors.torch import load_file

    if isinstance(model, str):
        model = _from_reference(model, load_file(path / "adapter_model.safetensors"))
    return PeftModel.from_pretrained(model, str(path)).eval()


def _load_own(model: Any, path: Path) -> nn.Module:
    from workers.methods.adapter_file import read_adapter
    from workers.methods.own_adapter import OwnAdapter
    from workers.methods.registry import method
    from workers.models.loading import make_base

    config, tensors = read_adapter(path)
    if isinstance(model, str):
        model = _from_reference(model, tensors)
    if model.config.model_type != config.model_type:
        raise ValueError(f"{path}: made for a {config.model_type} model, found {model.config.model_type}")
    base = make_base(model, str(path), head=config.head)
    attached = method(config.method).attach(base, config.knobs, config.seed, None)
    if not isinstance(attached, OwnAdapter):
        raise ValueError(f"{path}: method {config.method!r} is saved in peft's own format")
    attached.load(tensors)
    return attached.model.eval().requires_grad_(False)


def _from_reference(reference: str, tensors: dict[str, Any]) -> Any:
    """Load a base with the number of labels of the saved head: the rows of its last matrix."""
    from workers.models.loading import load_base

    return load_base(reference, classes=_labels(tensors)).model


def _labels(tensors: dict[str, Any]) -> int:
    names = ("classifier.out_proj.weight", "classifier.weight", "score.weight")
    for wanted in names:
        for name, value in tensors.items():
            if name.endswith(wanted) and not name.endswith("pre_classifier.weight"):
                return int(value.shape[0])
    raise ValueError(f"the adapter has no classification head: none of {', '.join(names)}")
