"""Conversations in the forms that people keep them in, as messages of `role` and `content`.

`messages` as OpenAI writes them, ShareGPT's `conversations` of `from` and `value`, `turns` of `speaker` and
`utterance`. What a tool is asked and answers becomes text where the template knows no tools.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workers.data.chat.template import ChatTemplate, RefusedError
from workers.data.columns import brief

Messages = list[dict[str, Any]]
_KEYS = (("role", "content"), ("from", "value"), ("speaker", "utterance"))
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function": "tool",
    "developer": "system",
}
ROLES = ("system", "user", "assistant", "tool")


def messages_of(value: object) -> Messages:
    """A cell's conversation. Raises `ValueError` with what was found."""
    if isinstance(value, str):  # csv and some parquet files hold JSON
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(brief(value)) from None
    if not isinstance(value, list) or not value:
        raise ValueError("an empty conversation" if value == [] else brief(value))
    return [_message(one) for one in value]


def _message(one: object) -> dict[str, Any]:
    if not isinstance(one, dict):
        raise ValueError(brief(one))
    role_key, content_key = next((keys for keys in _KEYS if keys[0] in one), _KEYS[0])
    said = str(one.get(role_key)).lower()
    role = _ROLES.get(said, said)
    if role_key == "speaker" and said == "system":  # of dialogues, whose system is who answers
        role = "assistant"
    if role not in ROLES:
        raise ValueError(f"the role {brief(one.get(role_key))}")
    content = _content(one.get(content_key))
    calls = one.get("tool_calls")
    if content is None and not calls:
        raise ValueError(f"{brief(one.get(content_key))} as what the {role} says")
    if content is not None and not content.strip() and role == "assistant" and not calls:
        raise ValueError("an empty answer of the assistant")
    more = {name: one[name] for name in ("name", "tool_call_id") if one.get(name) is not None}
    return {"role": role, "content": content or "", **more, **({"tool_calls": calls} if calls else {})}


def _content(value: object) -> str | None:
    """A message's text; parts of a list are joined; None where there is none."""
    if isinstance(value, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in value):
        return "".join(str(part.get("text", "")) for part in value)
    return value if type(value) is str else None


def tools_of(value: object) -> list[Any]:
    """A cell's tools: a list, or JSON of one; nothing where there are none. Raises `ValueError`."""
    if value is None or value == "":
        return []
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(brief(value)) from None
    if not isinstance(found, list):
        raise ValueError(brief(value))
    return found


def fitted(template: ChatTemplate, messages: Messages, tools: Sequence[Any]) -> tuple[Messages, Sequence[Any]]:
    """The conversation as a template takes it.

    Tools become a system's text and calls become an answer's where the template speaks of neither; a template that
    refuses a role gets tools' answers from the user, and a system's words in front of the user's first. Raises
    `RefusedError` with the words of the template where it takes none of these.
    """
    messages = messages if "tool_calls" in template.source else [_as_text(one) for one in messages]
    if tools and "tools" not in template.source:
        messages, tools = _with_system(messages, f"Tools: {json.dumps(list(tools), ensure_ascii=False)}"), ()
    refusal: RefusedError | None = None
    for change in (_same, _tools_as_users, _without_system):
        messages = change(messages)
        try:
            template.render(messages, tools)
        except RefusedError as error:
            refusal = refusal or error
        else:
            return messages, tools
    assert refusal is not None
    raise refusal


def _as_text(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    kept = {name: value for name, value in message.items() if name != "tool_calls"}
    if not calls:
        return kept
    written = "\n".join(json.dumps(one.get("function", one), ensure_ascii=False) for one in calls)
    return kept | {"content": "\n".join(part for part in (message["content"], written) if part)}


def _with_system(messages: Messages, text: str) -> Messages:
    if messages[0]["role"] != "system":
        return [{"role": "system", "content": text}, *messages]
    return [{**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}, *messages[1:]]


def _same(messages: Messages) -> Messages:
    return messages


def _tools_as_users(messages: Messages) -> Messages:
    return [one | {"role": "user"} if one["role"] == "tool" else one for one in messages]


def _without_system(messages: Messages) -> Messages:
    """The system's words in front of the user's first."""
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return messages
    return [messages[1] | {"content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}, *messages[2:]]
