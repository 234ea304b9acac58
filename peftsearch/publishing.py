"""Publishing an adapter on a Hugging Face hub, with a model card that tells nothing about this machine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peftsearch.errors import MissingExtra

CARD = "README.md"
_HERE = "this/folder"  # what the card of an exported adapter calls its place


def finish_card(folder: Path, repository: str, task: Mapping[str, Any]) -> None:
    """Make the card of an exported adapter fit for the hub: it loads from there, and names a base model that is there;
    folders of this machine are cut from the paths of the job's `task`."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8").replace(_HERE, repository)
    model = str(task["model"])
    base = f"base_model: {model.removeprefix('hub:').partition('@')[0]}\n" if model.startswith("hub:") else ""
    header, line, rest = text.partition("---\n")[2].partition("base_model: ")
    text = f"---\n{header}{base}tags:\n- peftsearch\n{rest.partition(chr(10))[2]}" if line else text
    for value in task.values():
        if isinstance(value, str) and Path(value).is_absolute():
            text = text.replace(value, Path(value).name)
    card.write_text(text, encoding="utf-8")


def push(folder: Path, repository: str, token: str | None, private: bool, endpoint: str | None = None) -> str:
    """Upload the folder as a model repository, made if it is not there; its address.

    `token` defaults to the one that `hf auth login` left, `endpoint` to the public hub (or `HF_ENDPOINT`). Raises
    MissingExtra without huggingface-hub, ConnectionError when the hub refuses or does not answer.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise MissingExtra("the hub", "huggingface-hub") from None
    # Its releases part in the library that they talk through.
    http = import_module("httpx2" if find_spec("httpx2") else "httpx")
    api = HfApi(endpoint=endpoint, token=token)
    try:
        made = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Adapter found by peftsearch")
    except HFValidationError as error:
        raise ValueError(f"repository: found {repository!r}; allowed: owner/name ({error})") from None
    except (HfHubHTTPError, http.TransportError) as error:
        raise ConnectionError(f"the hub at {api.endpoint} did not take {repository}: {error}") from None
    return f"{api.endpoint}/{made.repo_id}"
