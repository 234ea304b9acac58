"""Which characters of a rendered conversation are the model's answers, each with the token that ends it.

Most templates do not mark them. Then the conversation is rendered a second time with marks in place of the answers,
which shows what the template puts around each; where it rewrites answers (drops the thinking of earlier ones, say) the
beginnings of the conversation are rendered one after another. What neither explains is refused: a wrong mask would
train the model on its user's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from workers.data.chat.template import ChatTemplate, Message, RefusedError, Rendered, Span

_MARK = "\ufdd2{}\ufdd3"  # code points that no text may hold
_MARKS = re.compile("\ufdd2(\\d+)\ufdd3")


def answer_spans(
    template: ChatTemplate, messages: Sequence[Message], tools: Sequence[object], first: int, ends: Sequence[str]
) -> tuple[str, list[Span]]:
    """The text of a conversation and the spans of the assistant's turns from message `first` on.

    `ends` are the special tokens; each span ends with one. Raises `RefusedError` with what is wrong.
    """
    whole = template.render(messages, tools)
    turns = [index for index, one in enumerate(messages) if one["role"] == "assistant"]
    spans = _marked(whole, turns) if template.marks else None
    if spans is None:
        spans = _around(template, messages, tools, turns, whole.text)
    if spans is None:
        spans = list(_grown(template, messages, tools, turns, whole.text))
    chosen = [span for turn, span in zip(turns, spans, strict=True) if turn >= first]
    return whole.text, [_with_end(whole.text, span, ends, template.marks) for span in chosen]


def _marked(whole: Rendered, turns: Sequence[int]) -> list[Span] | None:
    return list(whole.marked) if len(whole.marked) == len(turns) else None


def _around(
    template: ChatTemplate, messages: Sequence[Message], tools: Sequence[object], turns: Sequence[int], text: str
) -> list[Span] | None:
    """Spans of the answers' contents, by what the template puts around marks in their place."""
    contents = [str(messages[turn].get("content") or "") for turn in turns]
    if not all(contents):
        return None
    marked = list(messages)
    for number, turn in enumerate(turns):
        marked[turn] = {**messages[turn], "content": _MARK.format(number)}
    try:
        pieces = _MARKS.split(template.render(marked, tools).text)  # fixed, number, fixed, number, …, fixed
    except RefusedError:
        return None
    if pieces[1::2] != [str(number) for number in range(len(turns))]:
        return None
    fixed, spans, at = pieces[::2], [], 0
    for content, before, behind in zip(contents, fixed, fixed[1:], strict=False):
        at += len(before)
        written = next((one for one in _forms(content) if text.startswith(one + behind, at)), None)
        if written is None or not text.startswith(before, at - len(before)):
            return None
        spans.append((at, at + len(written)))
        at += len(written)
    return spans if at + len(fixed[-1]) == len(text) else None


def _forms(content: str) -> Iterator[str]:
    """A content as templates write it."""
    yield from (content, content.strip(), content.rstrip(), content.lstrip())


def _grown(
    template: ChatTemplate, messages: Sequence[Message], tools: Sequence[object], turns: Sequence[int], text: str
) -> Iterator[Span]:
    """Spans of the answers by the beginnings of the conversation: each must be one of the whole text."""
    for turn in turns:
        start = template.render(messages[:turn], tools, prompt=True).text
        end = template.render(messages[: turn + 1], tools).text
        if not (text.startswith(end) and end.startswith(start)):
            raise RefusedError(
                f"the template writes turn {turn + 1} otherwise once others follow, so its answers cannot be told; "
                "mark them by {% generation %} and {% endgeneration %}"
            )
        yield len(start), len(end)


def _with_end(text: str, span: Span, ends: Sequence[str], marked: bool) -> Span:
    """A span up to its end-of-turn token, which no mark may leave out."""
    start, end = span
    written = text[start:end].rstrip()
    if written.endswith(tuple(ends)):
        return start, start + len(written)
    behind = text[end:].lstrip()
    token = next((one for one in sorted(ends, key=len, reverse=True) if behind.startswith(one)), None)
    if token is None:
        raise RefusedError("no special token ends the assistant's turn, so a model would not learn to stop")
    if marked:
        raise RefusedError(f"the end-of-turn token {token!r} stands outside {{% generation %}}; it must be learnt, too")
    return start, len(text) - len(behind) + len(token)
