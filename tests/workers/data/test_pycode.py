"""The built-in exercises: what their answers call passes their tests, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.data.pycode import read_pycode
from workers.generation.scores.pass_at_k import passed
from workers.tasks.catalogue.causal_lm import CausalLMSpec, read

ROLES = ("train", "validation", "test")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEFTSEARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_splits_share_no_exercise_and_prompts_say_what_is_wanted() -> None:
    splits = {role: read_pycode(role) for role in ROLES}
    prompts = [prompt for rows in splits.values() for prompt in rows["prompt"]]
    assert len(prompts) == len(set(prompts)) > 100
    assert min(len(splits[role]["prompt"]) for role in ROLES) >= 20
    one = next(prompt for prompt in prompts if "alpha-numeric" in prompt and "string" in prompt)
    assert one.startswith("Write a Python function `solve(value)`. Return True if the string is")
    assert "For example, `solve('Hello World')` is `False`." in one


def test_answers_pass_their_tests_and_others_do_not() -> None:
    rows = read_pycode("validation")
    some = slice(0, 12)
    tests = ["\n".join(lines) for lines in rows["tests"][some]]
    assert all(passed(rows["completion"][some], tests))
    assert not any(passed(["def solve(*given):\n    return 'no such thing'"] * 12, tests))
    assert all(len(lines) >= 3 for lines in rows["tests"])


def test_a_job_reads_them(tmp_path: Path) -> None:
    from tests.workers.tiny_language_model import save_tiny_llama

    save_tiny_llama(tmp_path / "model")
    task = CausalLMSpec(
        model=str(tmp_path / "model"),
        train="builtin:pycode",
        validation="builtin:pycode",
        generation={"metrics": ["pass_at_k"], "tests": "tests"},
    )
    data = read(task)
    assert data.validation.pairs is not None
    assert all("assert solve(" in program for program in data.validation.pairs)
