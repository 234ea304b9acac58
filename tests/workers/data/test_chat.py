"""Conversations in every form become the text that a template writes, with the answers and their ends learnt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from tests.workers.tiny_chat_model import TEMPLATE, write_language_model
from workers.data.chat.answers import answer_spans
from workers.data.chat.template import ChatTemplate, RefusedError, chat_template
from workers.data.chat.turns import fitted, messages_of
from workers.data.rows import TaskData
from workers.errors import InvalidInput
from workers.models.loading import load_tokenizer
from workers.tasks.catalogue.causal_lm import TASK
from workers.tasks.criterion import IGNORED

END = "<|im_end|>"
MARKED = TEMPLATE.replace(
    "{{ message['content'] }}<|im_end|>\n",
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}\n"
    "{% else %}{{ message['content'] }}<|im_end|>\n{% endif %}",
)
UNENDED = MARKED.replace("<|im_end|>{% endgeneration %}", "{% endgeneration %}<|im_end|>")
ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m['role'] }}] {{ m['content'] | trim }}<|im_end|>"
    "{% endfor %}"
)
STRIPPING = (  # as reasoning models do: of earlier answers only what stands behind the thinking
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'].split('</think>')[-1] if not loop.last else m['content'] }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TALK = [
    {"role": "user", "content": "a pear"},
    {"role": "assistant", "content": "one fruit ."},
    {"role": "user", "content": "a saw"},
    {"role": "assistant", "content": "one tool ."},
]


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, {"eos_token": END})


def learnt(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("source", [TEMPLATE, MARKED, ALTERNATING])
def test_answers_are_found_with_their_end(source: str) -> None:
    text, spans = answer_spans(template(source), TALK, (), 0, (END, "<|im_start|>"))
    assert learnt(text, spans) == [f"one fruit .{END}", f"one tool .{END}"]
    text, spans = answer_spans(template(source), TALK, (), 2, (END, "<|im_start|>"))
    assert learnt(text, spans) == [f"one tool .{END}"]


def test_what_a_template_rewrites_is_not_guessed_at() -> None:
    thinking = [
        {**one, "content": f"<think>so</think>{one['content']}"} if one["role"] == "assistant" else one for one in TALK
    ]
    with pytest.raises(RefusedError, match="turn 2 otherwise once others follow"):
        answer_spans(template(STRIPPING), thinking, (), 0, (END,))
    text, spans = answer_spans(template(STRIPPING), thinking[:2], (), 0, (END,))
    assert learnt(text, spans) == [f"<think>so</think>one fruit .{END}"]


def test_an_end_that_would_not_be_learnt_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"end-of-turn token '<\|im_end\|>' stands outside"):
        answer_spans(template(UNENDED), TALK, (), 0, (END,))
    with pytest.raises(RefusedError, match="no special token ends"):
        answer_spans(template(TEMPLATE.replace("<|im_end|>", "")), TALK, (), 0, (END,))


def test_templates_render_as_in_transformers(tmp_path: Path) -> None:
    source = (
        MARKED + "{{ tools | tojson if tools else '' }}{{ eos_token }}{% if false %}{{ strftime_now('%Y') }}{% endif %}"
    )
    tokenizer = AutoTokenizer.from_pretrained(write_language_model(tmp_path, source))
    own = chat_template(str(tmp_path), None)
    assert own is not None
    tools = [{"type": "function", "function": {"name": "größe", "parameters": {}}}]
    for given in ((), tools):
        whole = tokenizer.apply_chat_template(TALK, tools=list(given) or None, tokenize=False)
        assert own.render(TALK, given).text == whole
    masked = tokenizer.apply_chat_template(
        TALK, return_assistant_tokens_mask=True, return_dict=True, tokenize=True, tools=tools
    )
    rendered = own.render(TALK, tools)
    assert [rendered.text[a:b] for a, b in rendered.marked] == [f"one fruit .{END}", f"one tool .{END}"]
    assert sum(masked["assistant_masks"]) == 8


def test_tools_and_systems_fit_templates_that_know_neither() -> None:
    called = messages_of(
        [
            {"role": "system", "content": "one"},
            {"role": "user", "content": "a pear"},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            {"role": "tool", "content": "good"},
            {"role": "assistant", "content": "fruit"},
        ]
    )
    plain, tools = fitted(template(TEMPLATE), called, [{"name": "f"}])
    assert tools == ()
    assert [one["role"] for one in plain] == ["system", "user", "assistant", "tool", "assistant"]
    assert plain[0]["content"] == 'one\n\nTools: [{"name": "f"}]'
    assert plain[2]["content"] == '{"name": "f", "arguments": {}}'
    strict, _ = fitted(template(ALTERNATING), called, ())
    assert [one["role"] for one in strict] == ["user", "assistant", "user", "assistant"]
    assert strict[0]["content"] == "one\n\na pear"
    with pytest.raises(RefusedError, match="must alternate"):
        fitted(template(ALTERNATING), messages_of([*TALK[:1], *TALK]), ())


FORMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "messages": ({"messages": TALK}, [f"one fruit .{END}", f"one tool .{END}"]),
    "json": ({"messages": json.dumps(TALK)}, [f"one fruit .{END}", f"one tool .{END}"]),
    "sharegpt": (
        {
            "conversations": [
                {"from": "human", "value": "a pear"},
                {"from": "function_call", "value": "good"},
                {"from": "observation", "value": "red"},
                {"from": "gpt", "value": "fruit"},
            ],
            "tools": "[]",
        },
        [f"good{END}", f"fruit{END}"],
    ),
    "dialogue": (
        {"turns": [{"speaker": "USER", "utterance": "a pear"}, {"speaker": "SYSTEM", "utterance": "fruit"}]},
        [f"fruit{END}"],
    ),
    "pair": ({"prompt": "a pear ", "completion": "fruit"}, [f"fruit{END}"]),
    "ended pair": ({"prompt": "a ", "completion": f"fruit{END}"}, [f"fruit{END}"]),
    "pair of messages": ({"prompt": TALK[:3], "completion": TALK[3:]}, [f"one tool .{END}"]),
    "alpaca": ({"instruction": "a pear", "input": "", "output": "fruit"}, [f"fruit{END}"]),
    "text": ({"text": "a pear fruit"}, [f"a pear fruit{END}"]),
}


def read(folder: Path, rows: list[dict[str, Any]], **fields: Any) -> TaskData:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = {"type": "causal-lm", "model": str(folder / "model"), "train": str(path), "validation": 0.5, **fields}
    return TASK.read(TASK.section.model_validate(section), 0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_language_model(tmp_path / "model")
    return tmp_path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_recognised(home: Path, form: str) -> None:
    row, expected = FORMS[form]
    rows = read(home, [row, row]).train
    pieces = list(zip(rows.texts[0], rows.targets[0], strict=True))
    assert [piece for piece, flag in pieces if flag] == expected
    assert (rows.texts[0][0] == "") == (form in ("pair", "ended pair", "text"))
    encoded = TASK.encode(rows, load_tokenizer(str(home / "model")), 64)
    tokenizer = load_tokenizer(str(home / "model"))
    found = [token for token in encoded["targets"][0] if token != IGNORED]
    assert (
        tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens(found)).split()
        == " ".join(part.replace(END, f" {END}") for part in expected).split()[1 if form == "text" else 0 :]
    )  # nothing stands before a text's first token to tell it by


def test_everything_is_learnt_where_the_job_says_so(home: Path) -> None:
    whole = read(home, [{"messages": TALK}] * 2, assistant_only_loss=False).train
    assert whole.targets[0].tolist() == [1]
    pair = read(home, [{"prompt": "a pear ", "completion": "fruit"}] * 2, completion_only_loss=False).train
    assert pair.targets[0].tolist() == [0, 1, 1]


def test_columns_may_be_named(home: Path) -> None:
    rows = read(home, [{"text": "a pear", "code": "fruit", "messages": []}] * 2, prompt="text", completion="code").train
    assert rows.texts[0] == ("", "a pear", f"fruit{END}")
    for wrong in ({"prompt": "text"}, {"messages": "a", "text": "b"}):
        with pytest.raises(ValueError, match="allowed: messages, or prompt and completion, or text"):
            TASK.section.model_validate({"model": "m", "train": "t", **wrong})


@pytest.mark.parametrize(
    ("row", "fields", "field", "said"),
    [
        ({"chosen": "a", "rejected": "b"}, {}, "train", "tasks of preference"),
        ({"prompt": "a pear", "completion": " "}, {}, "completion", "line 2"),
        ({"prompt": 3, "completion": "fruit"}, {}, "prompt", "line 2"),
        ({"text": ""}, {}, "text", "line 2"),
        ({"instruction": "a", "output": ""}, {}, "train", "line 2"),
        ({"prompt": "pear " * 9, "completion": "fruit"}, {"max_length": 8}, "max_length", "9 tokens before the answer"),
        ({"messages": TALK}, {"chat_template_path": "nowhere.jinja"}, "chat_template_path", "nowhere.jinja"),
    ],
)
def test_bad_rows_are_refused(home: Path, row: Any, fields: Any, field: str, said: str) -> None:
    good = dict.fromkeys(row, "fruit") if "messages" not in row else row
    with pytest.raises(InvalidInput, match=said) as caught:
        read(home, [good, row], **fields)
    assert caught.value.field == field


def test_roles_in_an_order_that_the_template_refuses(home: Path) -> None:
    (home / "strict.jinja").write_text(ALTERNATING)
    rows = [{"messages": TALK}, {"messages": [TALK[0], *TALK]}]
    with pytest.raises(InvalidInput, match=r"line 2 of .* roles must alternate") as caught:
        read(home, rows, chat_template_path=str(home / "strict.jinja"))
    assert caught.value.field == "messages"
    (home / "unended.jinja").write_text(UNENDED)
    with pytest.raises(InvalidInput, match=r"line 1 of .*stands outside"):
        read(home, rows, chat_template_path=str(home / "unended.jinja"))


def test_conversations_need_a_template_and_alpaca_has_a_prompt(tmp_path: Path) -> None:
    write_language_model(tmp_path / "model", template=None)
    with pytest.raises(InvalidInput, match="without a chat template") as caught:
        read(tmp_path, [{"messages": TALK}] * 2)
    assert caught.value.field == "chat_template_path"
    row = {"instruction": "a pear", "input": "red", "output": "fruit"}
    rows = read(tmp_path, [row, row]).train
    assert rows.texts[0][1].endswith("### Instruction:\na pear\n\n### Input:\nred\n\n### Response:\n")


def _joint(_folder: Path) -> Any:
    """A tokenizer that joins the last letter of a prompt with the first of its answer."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    letters = {token: number for number, token in enumerate(["<e>", "a", "b", "c", "bc"])}
    tokenizer = Tokenizer(models.BPE(letters, [("b", "c")]))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<e>", pad_token="<e>")


def test_a_token_across_the_boundary_belongs_to_the_answer() -> None:
    from workers.data.rows import Rows

    flags = np.empty(1, dtype=object)
    flags[:] = [np.array([0, 0, 1], dtype=np.int32)]
    encoded = TASK.encode(Rows((("", "ab", "ca<e>"),), None, flags), _joint(Path()), 16)
    assert encoded["input_ids"][0].tolist() == [1, 4, 1, 0]  # a, bc, a, end
    assert encoded["targets"][0].tolist() == [4, 1, 0, IGNORED]


def test_tokens_that_the_tokenizer_puts_first_are_put_before_plain_text() -> None:
    from tokenizers import processors

    from workers.data.rows import Rows

    tokenizer = _joint(Path())
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<e> $A <e>", special_tokens=[("<e>", 0)]
    )
    flags = np.empty(2, dtype=object)
    flags[:] = [np.array([0, 1], dtype=np.int32), np.array([0, 1], dtype=np.int32)]
    encoded = TASK.encode(Rows((("", "ab"), ("a", "b")), None, flags), tokenizer, 16)
    assert [ids.tolist() for ids in encoded["input_ids"]] == [[0, 1, 2], [1, 2]]


SETS: dict[str, dict[str, Any]] = {
    "sft/gsm8k/train.jsonl": {},
    "sft/sgd_dialogues/train.jsonl": {},
    "sft/sgd_dialogues/raw/dialogues_007_first20.json": {},
    "sft/alpaca_en/train.jsonl": {},
    "sft/alpaca_en/raw/alpaca_en_demo.json": {},
    "sft/glaive_toolcall/train.jsonl": {"overlong": "drop"},
    "sft/glaive_toolcall/raw/glaive_toolcall_en_first60.json": {},
    "code/mbpp/train.jsonl": {"prompt": "text", "completion": "code"},
}


@pytest.mark.parametrize("name", SETS)
def test_real_sets_are_read_and_learnt_from(home: Path, shared_data: Path, name: str) -> None:
    section = {
        "model": str(home / "model"),
        "train": str(shared_data / name),
        "validation": 0.1,
        "max_length": 1000,
        **SETS[name],
    }
    data = TASK.read(TASK.section.model_validate(section), 0)
    encoded = TASK.encode(data.validation, load_tokenizer(str(home / "model")), 1000)
    assert all((targets != IGNORED).any() for targets in encoded["targets"])
    for pieces, flags in zip(data.train.texts, data.train.targets, strict=True):
        assert all(piece.endswith(END) for piece, flag in zip(pieces, flags, strict=True) if flag)


def test_rows_of_which_nothing_would_be_learnt_may_be_dropped(home: Path) -> None:
    row, long = ({"prompt": "pear " * words, "completion": "fruit"} for words in (2, 9))
    data = read(home, [row, long, row], max_length=8, overlong="drop")
    assert len(data.train) + len(data.validation) == 2
    with pytest.raises(InvalidInput, match="9 tokens before the answer"):
        read(home, [long, long], max_length=8, overlong="drop")


def test_rows_are_written_down_as_the_model_reads_them(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from workers.data.__main__ import main

    rows = home / "talk.jsonl"
    rows.write_text(f"{json.dumps({'messages': TALK})}\n" * 4)
    task = {"type": "causal-lm", "model": str(home / "model"), "train": str(rows), "validation": 0.5}
    (home / "job.yaml").write_text(json.dumps({"task": task}))
    monkeypatch.setattr("sys.argv", ["data", str(home / "job.yaml"), "train", str(home / "out.jsonl")])
    main()
    assert "2 rows" in (said := capsys.readouterr().out)
    assert "read as messages" in said
    line = json.loads((home / "out.jsonl").read_text().splitlines()[0])
    assert line["learnt"] == [f"one fruit .{END}", f"one tool .{END}"]
    assert line["text"].startswith("<|im_start|>user\na pear")
