"""Chat templates: from messages to the text that a model was trained on. As transformers renders them, without torch.

A template is a Jinja file of the model (`chat_template.jinja`, or in `tokenizer_config.json`) or one of the user's. It
runs in Jinja's sandbox. `{% generation %} … {% endgeneration %}` marks what the model is to write, as in transformers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workers.errors import InvalidInput
from workers.models.references import resolve

Message = Mapping[str, Any]
Span = tuple[int, int]
"""Characters from, and up to."""
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"  # code points that no text may hold
_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class RefusedError(Exception):
    """A template's own refusal of a conversation, such as roles that do not alternate."""


@dataclass(frozen=True)
class Rendered:
    """A conversation as text. `marked` are the spans that the template itself marks as the model's, in order."""

    text: str
    marked: tuple[Span, ...]


@dataclass(frozen=True)
class ChatTemplate:
    """A template with the special tokens of its tokenizer."""

    source: str
    tokens: Mapping[str, str]

    @property
    def marks(self) -> bool:
        """Whether it says which parts are the model's."""
        return "endgeneration" in self.source

    def render(self, messages: Sequence[Message], tools: Sequence[Any] = (), prompt: bool = False) -> Rendered:
        """The text of a conversation; with `prompt`, up to where the model's next answer begins.

        Raises `RefusedError` with the template's words, or those of Jinja.
        """
        try:
            written = _compiled(self.source).render(
                messages=messages,
                tools=list(tools) or None,
                add_generation_prompt=prompt,
                documents=None,
                **self.tokens,
            )
        except (TemplateError, TypeError, ValueError, KeyError, OverflowError) as error:
            raise RefusedError(str(error)) from error
        text, marked, start = [], [], 0
        length = 0
        for part in re.split(f"([{_OPEN}{_CLOSE}])", written):
            if part == _OPEN:
                start = length
            elif part == _CLOSE:
                marked.append((start, length))
            else:
                text.append(part)
                length += len(part)
        return Rendered("".join(text), tuple(marked))


def special_tokens(model: str) -> dict[str, str]:
    """The named special tokens of a model's tokenizer, `eos_token` for one. Raises `InvalidInput`."""
    config = _json(resolve(model, weights=False) / "tokenizer_config.json")
    found = {name: config.get(name) for name in _TOKENS}
    texts = {name: one["content"] if isinstance(one, dict) else one for name, one in found.items()}
    return {name: one for name, one in texts.items() if isinstance(one, str)}


def chat_template(model: str, path: str | None) -> ChatTemplate | None:
    """The template in a file, or the model's own; None where it has none. Raises `InvalidInput` where unreadable."""
    tokens = special_tokens(model)
    if path is not None:
        try:
            source = Path(path).expanduser().read_text(encoding="utf-8")
            _compiled(source)
        except (OSError, UnicodeDecodeError, TemplateError) as error:
            raise InvalidInput("chat_template_path", f"{path}: {error}", "a readable Jinja template") from error
        return ChatTemplate(source, tokens)
    folder = resolve(model, weights=False)
    file = folder / "chat_template.jinja"
    if file.is_file():
        return ChatTemplate(file.read_text(encoding="utf-8"), tokens)
    written = _json(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(written, list):  # several by name
        written = next((one["template"] for one in written if one.get("name") == "default"), None)
    return ChatTemplate(written, tokens) if isinstance(written, str) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise InvalidInput("model", f"{path}: {error}", "a tokenizer that can be read") from error
    return found if isinstance(found, dict) else {}


@cache
def _compiled(source: str) -> Any:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _to_json(value: object, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


class _Generation(Extension):
    """The block `{% generation %}`: its text, between marks."""

    tags = {"generation"}  # noqa: RUF012  # typed by Jinja

    def parse(self, parser: Parser) -> nodes.Node:
        """A call of `_mark` around the block's body."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{_OPEN}{caller()}{_CLOSE}"
