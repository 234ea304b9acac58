"""Answers as spans: read from SQuAD's forms, found again in windows of any tokenizer, scored as official scripts do."""

from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from workers.data.tokens import Tokens, shared_tokens, tokenise
from workers.engines.inputs import Inputs
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.models.loading import load_tokenizer
from workers.tasks.catalogue.question_answering import TASK, QuestionAnsweringSpec
from workers.tasks.catalogue.question_answering.answers import exact_match, f1_token, words_of
from workers.tasks.catalogue.question_answering.spans import AnswerMeasure, likeliest, span_loss
from workers.tasks.catalogue.question_answering.windows import BEGINS, ENDS
from workers.tasks.criterion import IGNORED, ROLES

CONTEXTS = {
    "zh": ("汉武帝在公元前141年即位。他的首都是长安，人口约四十万。", "首都是哪里？", "长安"),
    "emoji": ("She wrote 👩‍👩‍👧 and then 🎉🎉, both on a café wall 🇫🇷 in Paris.", "Where was the wall?", "Paris"),
    "accents": ("Le siège de l’Académie est à Orléans depuis 1823.", "Où est le siège ?", "Orléans"),
    "middle of a word": ("A re-use of pre-war stock was planned.", "Which stock?", "war"),
    "spaces": ("One\n\n  two\tthree   four", "What is behind two?", "three   four"),
}


def byte_level() -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of bytes, whose tokens may be parts of a character."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(["the wall of Paris"], trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>")


TOKENIZERS = {"word pieces": lambda: load_tokenizer("builtin:minilm"), "bytes": byte_level}


def task(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> QuestionAnsweringSpec:
    for role in ("train", "validation"):
        (folder / f"{role}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")}
    return QuestionAnsweringSpec.model_validate({"model": "builtin:minilm", **files, **changes})


def row(context: str, question: str, *answers: str) -> dict[str, Any]:
    starts = [context.index(answer) for answer in answers]
    return {"context": context, "question": question, "answers": {"text": list(answers), "answer_start": starts}}


def split(section: QuestionAnsweringSpec, tokenizer: Any) -> tuple[Tokens, Inputs]:
    rows = TASK.read(section, 0).train
    tokens = tokenise(rows, tokenizer, section.max_length, TASK.encoding(section))
    return tokens, Inputs(
        tokens, 0, TASK.criterion_on(TASK.criterion(section, ("start", "end")), section, rows, tokens)
    )


def certain(inputs: Inputs, rows: np.ndarray[Any, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are sure of the targets, and these."""
    targets = inputs.targets(rows)
    role = targets.where(targets != IGNORED, 0) % ROLES
    logits = torch.stack([(role & BEGINS) > 0, (role & ENDS) > 0], dim=-1).float() * 20 + 0.1
    logits[targets == IGNORED] = 50.0  # what is no candidate is never taken, however sure
    return logits, targets


def measured(inputs: Inputs, batches: list[list[int]]) -> AnswerMeasure:
    found: Any = inputs.criterion.measure()
    for batch in batches:
        found.add(*certain(inputs, np.array(batch)))
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_spans_are_found_again_whatever_the_signs(kind: str, tmp_path: Path) -> None:
    section = task(tmp_path, [row(*one) for one in CONTEXTS.values()])
    _, inputs = split(section, TOKENIZERS[kind]())
    given = measured(inputs, [list(range(len(inputs)))]).answers()
    for text, (_, _, answer) in zip(given, CONTEXTS.values(), strict=True):
        assert answer in text  # a token may hold more than the answer
        assert len(text) <= len(answer) + 2


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_long_contexts_are_read_in_windows_that_overlap(kind: str, tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(9000)]
    context = " ".join(words)
    assert len(context) > 54_000
    section = task(tmp_path, [row(context, "Which?", "word8990 word8991"), row("in Paris", "Where?", "Paris")])
    tokenizer = TOKENIZERS[kind]()
    tokens, inputs = split(section, tokenizer)
    assert tokens.examples is not None
    assert tokens.spans is not None
    assert int(tokens.lengths().max()) == section.max_length
    own = [tokens.spans[a:b] for a, b in zip(tokens.offsets, tokens.offsets[1:], strict=False)]
    first = [spans[spans[:, 1] > 0] for spans, example in zip(own, tokens.examples, strict=True) if example == 0]
    assert (first[0][0, 0], first[-1][-1, 1]) == (0, len(context))
    shared = section.max_length // 3
    assert all(left[-shared][0] == right[0][0] for left, right in pairwise(first))
    order = np.random.default_rng(0).permutation(len(inputs))
    one, other = measured(inputs, [order[:7].tolist()]), measured(inputs, [[place] for place in order[7:]])
    one.merge(other)
    assert list(one.answers()) == ["word8990 word8991", "Paris"]
    assert one.result() == pytest.approx(measured(inputs, [list(range(len(inputs)))]).result())
    assert one.result()["f1_token"] == 1.0
    wide = section.model_copy(update={"doc_stride": 0})
    assert len(split(wide, tokenizer)[1]) < len(inputs)


def test_questions_without_an_answer(tmp_path: Path) -> None:
    rows = [row("in Paris", "Where?", "Paris"), {"context": "in Paris", "question": "When?", "answers": None}]
    _, inputs = split(task(tmp_path, rows), TOKENIZERS["word pieces"]())
    found = measured(inputs, [[0, 1]])
    assert list(found.answers()) == ["Paris", ""]
    assert found.result() == pytest.approx({"f1_token": 1.0, "exact_match": 1.0, "loss": 0.0}, abs=1e-4)
    _, answered = split(task(tmp_path, rows[:1]), TOKENIZERS["word pieces"]())
    logits, targets = certain(answered, np.array([0]))
    silent: Any = answered.criterion.measure()
    logits[0, 0] = 99.0  # every question has an answer: one is given, however unlikely
    silent.add(logits, targets)
    assert silent.answers()[0] != ""


def test_a_question_leaves_half_of_a_window_to_its_context(tmp_path: Path) -> None:
    section = task(tmp_path, [row("in Paris", "why " * 300, "Paris")], max_length=32)
    tokens, inputs = split(section, TOKENIZERS["word pieces"]())
    assert tokens.lengths().tolist() == [14 + 3 + 2]
    assert measured(inputs, [[0]]).answers()[0] == "Paris"


def test_options_of_windows_are_checked_and_part_of_the_cache(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 60 with max_length 128"):
        task(tmp_path, [], max_length=128, doc_stride=61)
    tokenizer = TOKENIZERS["word pieces"]()
    for stride in (4, 8, 8):
        section = task(tmp_path, [row("in Paris " * 30, "Where?", "Paris")], max_length=32, doc_stride=stride)
        data = TASK.read(section, 0)
        tokens = shared_tokens(data, tokenizer, 32, TASK.encoding(section), tmp_path)
        assert tokens.train.examples is not None
        assert tokens.train.examples.tolist() == [0] * len(tokens.train)
    assert len(list((tmp_path / "tokens").iterdir())) == 2


def nested(*paragraphs: tuple[str, list[dict[str, Any]]]) -> str:
    told = [{"context": context, "qas": questions} for context, questions in paragraphs]
    return json.dumps({"version": "2.0", "data": [{"title": "one", "paragraphs": told}]})


def test_squads_own_form_is_read_as_flat_rows_are(tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [
        {
            "question": "Where?",
            "answers": [{"text": "Paris", "answer_start": 3}, {"text": "in Paris", "answer_start": 0}],
        },
        {"question": "When?", "answers": [], "is_impossible": True, "plausible_answers": [{"text": "in"}]},
    ]
    (tmp_path / "squad.json").write_text(nested(("in Paris", questions)))
    section = QuestionAnsweringSpec(
        model="builtin:minilm", train=str(tmp_path / "squad.json"), validation=str(tmp_path / "squad.json")
    )
    rows = TASK.read(section, 0).train
    assert (rows.texts, rows.pairs) == (("Where?", "When?"), ("in Paris", "in Paris"))
    assert [spans.tolist() for spans in rows.targets] == [[3, 8, 0, 8], []]
    (tmp_path / "squad.json").write_text(nested(("in Paris", [{"question": "Where?", "answers": [{"text": "Rome"}]}])))
    with pytest.raises(InvalidInput, match=r"answers.*row 1 of .*squad\.json"):
        TASK.read(section, 0)
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": [{"qas": []}], "title": 3}, {}]}))
    with pytest.raises(InvalidInput, match="SQuAD's form"):
        TASK.read(section, 0)


def test_an_offset_in_bytes_is_mended_where_the_answer_occurs_once(tmp_path: Path) -> None:
    context, answer = "café in Orléans, 12 rue", "12 rue"
    told = {"text": answer, "answer_start": len(context[: context.index(answer)].encode())}
    rows = TASK.read(task(tmp_path, [{"context": context, "question": "Where?", "answers": [told]}]), 0).train
    assert rows.targets[0].tolist() == [context.index(answer), len(context)]


def test_what_is_split_off_shares_no_context(tmp_path: Path) -> None:
    rows = [row(f"text {number // 4} in Paris", f"{number}?", "Paris") for number in range(80)]
    section = task(tmp_path, rows).model_copy(update={"validation": 0.2, "test": 0.2})
    data = TASK.read(section, 3)
    assert data.test is not None
    train, validation, test = (set(one.pairs or ()) for one in (data.train, data.validation, data.test))
    assert [one & other for one, other in ((train, validation), (train, test), (validation, test))] == [set()] * 3
    assert (len(data.train), len(data.validation), len(data.test)) == (52, 12, 16)


def test_the_likeliest_span_is_that_of_an_exhaustive_search() -> None:
    random = np.random.default_rng(0)
    scores, inside = random.normal(size=(6, 12, 2)), random.random((6, 12)) < 0.7
    best, first, last = likeliest(scores, inside, 4)
    for line in range(6):
        spans = [(a, b) for a, b in product(range(12), repeat=2) if a <= b < a + 4 and inside[line, [a, b]].all()]
        wanted = max(spans, key=lambda one: scores[line, one[0], 0] + scores[line, one[1], 1])
        assert (first[line], last[line]) == wanted
        assert best[line] == scores[line, wanted[0], 0] + scores[line, wanted[1], 1]


def test_the_loss_is_that_of_transformers_over_the_candidates() -> None:
    logits = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(3, 7, dtype=torch.long)
    targets[:, 4:] = IGNORED
    for line, (begin, end) in enumerate(((1, 2), (0, 0), (3, 3))):
        targets[line, begin] += BEGINS
        targets[line, end] += ENDS
    begins, ends = torch.tensor([1, 0, 3]), torch.tensor([2, 0, 3])
    cross = [
        torch.nn.functional.cross_entropy(logits[:, :4, side], wanted, reduction="sum")
        for side, wanted in enumerate((begins, ends))
    ]
    found = span_loss(logits, targets + 8 * (targets != IGNORED), Hyperparameters())
    torch.testing.assert_close(found, sum(cross) / 2)
    smooth = span_loss(logits, targets, Hyperparameters(label_smoothing=0.2))
    even = -logits[:, :4].log_softmax(1).mean(1).sum() / 2
    torch.testing.assert_close(smooth, 0.8 * sum(cross) / 2 + 0.2 * even)


@pytest.mark.parametrize(
    ("answer", "right", "language", "exact", "f1"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], "en", 1.0, 1.0),
        ("in Paris, France", ["Paris"], "en", 0.0, 0.5),
        ("Paris", ["Rome", "paris", "in Paris"], "en", 1.0, 1.0),
        ("", [], "en", 1.0, 1.0),
        ("Paris", [], "en", 0.0, 0.0),
        ("", ["Paris"], "en", 0.0, 0.0),
        ("the", ["an"], "en", 1.0, 1.0),  # nothing is left of either
        ("the the cat sat sat", ["a cat sat"], "en", 0.0, 0.8),
        ("l’eau de Paris", ["eau de Paris"], "fr", 1.0, 1.0),
        ("l'eau", ["eau"], "en", 0.0, 0.0),
        ("le Conseil des ministres", ["Conseil ministres"], "fr", 1.0, 1.0),
        ("der Dom zu Köln", ["Dom zu Köln"], "de", 1.0, 1.0),
        ("长安城", ["长安"], "zh", 0.0, 0.8),
        ("“长安”。", ["长安"], "zh", 1.0, 1.0),
        ("“Paris”", ["Paris"], "en", 0.0, 0.0),  # SQuAD's script takes ASCII's punctuation alone
        ("“Paris”", ["Paris"], "other", 1.0, 1.0),
    ],
)
def test_scores_are_those_of_the_official_scripts(
    answer: str, right: list[str], language: Any, exact: float, f1: float
) -> None:
    assert exact_match(answer, right, language) == exact
    assert f1_token(answer, right, language) == pytest.approx(f1)


def test_chinese_and_latin_words_stand_side_by_side() -> None:
    assert words_of("在 Paris 的 2 家", "zh") == ["在", "paris", "的", "2", "家"]


def test_real_questions_are_read_alike_from_both_forms(shared_data: Path) -> None:
    real = shared_data / "qa" / "xquad_en"
    files = {role: str(real / f"{role}.jsonl") for role in ("train", "validation", "test")}
    data = TASK.read(QuestionAnsweringSpec(model="builtin:minilm", **files), 0)
    assert data.test is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (729, 156, 305)
    raw = str(real / "raw" / "xquad.en.json")
    whole = TASK.read(QuestionAnsweringSpec(model="builtin:minilm", train=raw, validation=raw), 0).train
    flat = {(q, c): s.tolist() for part in (data.train, data.validation, data.test)
            for q, c, s in zip(part.texts, part.pairs or (), part.targets, strict=True)}  # fmt: skip
    assert {(q, c): s.tolist() for q, c, s in zip(whole.texts, whole.pairs or (), whole.targets, strict=True)} == flat
    section = QuestionAnsweringSpec(model="builtin:minilm", **files)
    _, inputs = split(section, load_tokenizer("builtin:minilm"))
    assert measured(inputs, [list(range(len(inputs)))]).result()["f1_token"] > 0.99
