"""From what a job writes under `model` to a folder with weights: `builtin:…`, a local folder, or `hub:…`.

Imports neither torch nor transformers, so that the API can refuse a model that does not exist.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from workers.errors import InvalidInput
from workers.models.builtins import builtin
from workers.models.weights import StoredTensor, has_weights, refuse_pointer, stored_tensors, weight_files

HUB = "hub:"
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+(@[\w./-]+)?")
_TEXT_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]


def is_hub(reference: str) -> bool:
    """True for `hub:owner/name[@revision]`, and without the mark for `owner/name`: a relative path begins with `./`.

    What lies in the current folder does not matter: it is the service's, and not where a job's paths start from.
    """
    return reference.startswith(HUB) or _HUB_ID.fullmatch(reference) is not None


def resolve(reference: str, weights: bool = True) -> Path:
    """Return the folder of a model; a hub id is fetched into the hub's cache, without its weights if not `weights`.

    Raises `InvalidInput` with field `model` when there is no such model or it has no safetensors weights.
    """
    if reference.startswith("builtin:"):
        return builtin(reference).folder()
    folder = _from_hub(reference, weights) if is_hub(reference) else Path(reference).expanduser()
    if not (folder / "config.json").is_file():
        raise InvalidInput("model", reference, "a folder with config.json and model.safetensors")
    if (folder / "adapter_config.json").is_file():  # transformers would load the base that it names, wherever that is
        raise InvalidInput("model", f"{reference}, which holds an adapter", "a model: name its base, or merge the two")
    if weights:
        weight_files(folder)
    return folder


def read_tensors(reference: str) -> dict[str, StoredTensor] | None:
    """The tensors of a model without loading them; None where a hub that should tell them does not answer.

    Of a hub id whose weights have not been fetched, the first bytes of its files are. Raises `InvalidInput` with field
    `model` when there are no safetensors weights, or some that cannot be read.
    """
    folder = resolve(reference, weights=False)
    return _published(reference) if is_hub(reference) and not has_weights(folder) else stored_tensors(folder)


def _published(reference: str) -> dict[str, StoredTensor] | None:
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, NotASafetensorsRepoError, SafetensorsParsingError

    name, _, revision = reference.removeprefix(HUB).partition("@")
    try:
        found = HfApi().get_safetensors_metadata(name, revision=revision or None)
    except (NotASafetensorsRepoError, SafetensorsParsingError) as error:
        raise InvalidInput("model", f"{reference}: {error}", "a model saved as safetensors (no pickles)") from error
    except (HfHubHTTPError, httpx.HTTPError, OSError):
        return None
    headers = found.files_metadata.values()
    return {
        tensor: StoredTensor(str(one.dtype), tuple(one.shape))
        for header in headers
        for tensor, one in header.tensors.items()
    }


def read_config(reference: str) -> dict[str, Any]:
    """The parsed `config.json` of a model reference."""
    path = resolve(reference, weights=False) / "config.json"
    refuse_pointer(path)
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput("model", f"{path}: {error}", "a readable config.json") from error
    if not isinstance(config, dict):
        raise InvalidInput("model", f"{path}: {type(config).__name__}", "a JSON object")
    return config


def _from_hub(reference: str, weights: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    owner_name, _, revision = reference.removeprefix(HUB).partition("@")
    patterns = [*_TEXT_FILES, "*.safetensors"] if weights else _TEXT_FILES
    try:
        return Path(snapshot_download(owner_name, revision=revision or None, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        detail = str(error).splitlines()[0]
        raise InvalidInput(
            "model",
            reference,
            "builtin:minilm, a local folder or a hub id that this machine can reach",
            f"model: {reference.removeprefix(HUB)!r} is neither a local folder nor a reachable hub id ({detail})",
        ) from error
