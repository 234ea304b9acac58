"""Reading a job file: YAML or JSON, its relative paths made absolute from where the file lies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from peftsearch.errors import BadInput, Problem

_ELSEWHERE = ("builtin:", "hub:", "domain:")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def read(file: Path) -> dict[str, Any]:
    """The JobSpec in `file` with absolute paths. Raises BadInput when the file is missing or is not one."""
    try:
        spec = yaml.load(file.read_text(encoding="utf-8"), Loader=_EachKeyOnce)
    except OSError as error:
        raise _bad(file, "a job file that can be read", error.strerror or str(error)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _bad(file, "YAML or JSON", str(error)) from None
    if not isinstance(spec, dict):
        raise _bad(file, "a JobSpec: fields with values", f"found {type(spec).__name__}")
    task = spec.get("task")
    if isinstance(task, dict):
        spec["task"] = {name: _located(name, value, file.resolve().parent) for name, value in task.items()}
    source = spec.get("source")
    if isinstance(source, dict) and "folder" in source:
        spec["source"] = source | {"folder": _beside(source["folder"], file.resolve().parent)}
    corpus = spec.get("corpus")
    if isinstance(corpus, dict) and isinstance(corpus.get("domains"), dict):
        domains = {name: _beside(path, file.resolve().parent) for name, path in corpus["domains"].items()}
        spec["corpus"] = corpus | {"domains": domains}
    return spec


class _EachKeyOnce(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml where it is there
    """Refuses a mapping that holds a key twice, as pasting makes them: the first one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping. Raises ConstructorError with both lines."""
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line, name = key.start_mark.line + 1, (key.tag, key.value)
                if name in lines:
                    told = f"the key `{key.value}` is there twice, in lines {lines[name]} and {line}"
                    raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
                lines[name] = line
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _beside(path: Any, folder: Path) -> Any:
    return str(folder / Path(path).expanduser()) if isinstance(path, str) else path


def _located(name: str, value: Any, folder: Path) -> Any:
    if name == "tasks" and isinstance(value, dict):  # tasks that a task is made of, by their names
        return {
            part: {field: _located(field, one, folder) for field, one in own.items()} if isinstance(own, dict) else own
            for part, own in value.items()
        }
    if name not in {"model", "train", "validation", "test", "knowledge", "chat_template_path"} or not isinstance(
        value, str
    ):
        return value
    path = Path(value).expanduser()
    if value.startswith(_ELSEWHERE) or path.is_absolute():
        return str(path) if path.is_absolute() else value
    if _HUB_ID.fullmatch(value) and not (folder / path).exists():
        return value  # `owner/name` is a hub id unless something of that name lies beside the job file
    return str(folder / path)


def _bad(file: Path, allowed: str, found: str) -> BadInput:
    problem = Problem(field=str(file), found=found, allowed=allowed, message=f"{found}; expected {allowed}")
    return BadInput(400, "The job file cannot be used", "The job file cannot be used", [problem])
