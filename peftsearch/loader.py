"""Load exported adapters. Methods that Hugging Face peft does not know are loaded by the installed workers' code."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

GROUP = "peftsearch.adapters"


def load_adapter(model: Any, folder: str | Path, rank: int | None = None, without: Iterable[str] = ()) -> Any:
    """Put an exported adapter on its base model and return it, ready for inference.

    Args:
        model: the model of transformers the adapter was trained on, with the head of its task and as many labels.
        folder: what `peftsearch export` wrote.
        rank: take the adapter at this lower rank, where the method trains every rank up to its own (`dylora`).
        without: leave out these roles of an adapter that has several (`role_adapters`).

    Raises:
        ImportError: when the code of the methods is not installed.
        ValueError: when the folder holds no adapter, or one that does not fit the model, the rank or the roles.
    """
    loaders = list(entry_points(group=GROUP))
    if not loaders:
        raise ImportError(
            f"no installed package offers adapters in the entry-point group {GROUP!r}: install peftsearch with its "
            "`workers` extra (pip install 'peftsearch[workers]'), or use plain peft for methods that it knows"
        )
    return loaders[0].load()(model, folder, rank, without)
