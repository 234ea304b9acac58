"""LLAMBO against real HTTP servers that are helpful, confused, broken or asleep."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import numpy as np
import pytest

from optimizers.errors import UnsupportedProblem
from optimizers.llambo.optimizer import expected_improvement
from optimizers.problem import CompletedTrial, FailedTrial, History, PendingTrial, Problem
from optimizers.registry import check, optimizer
from search_spaces.space import config_hash
from tests.optimizers.computed_problems import ACCURACY, MIXED, TWO, completed, quality

DRAWN = MIXED.sample(30, np.random.default_rng(3))
HISTORY = History(tuple(completed(i, config) for i, config in enumerate(DRAWN[:12])))
GOOD = DRAWN[20:26]

Answer = Callable[[str], object]


@contextmanager
def server(answer: Answer, monkeypatch: pytest.MonkeyPatch, seen: list[str] | None = None) -> Iterator[None]:
    """An endpoint that answers a prompt with the content `answer(prompt)`, or with raw bytes, or not at all (None)."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = body["messages"][0]["content"]
            if seen is not None:
                seen.append(prompt)
            content = answer(prompt)
            if content is None:
                over.wait()  # as long as anybody waits for an answer
                return
            message = {"choices": [{"message": {"content": content}}]}
            raw = content if isinstance(content, bytes) else json.dumps(message).encode()
            self.send_response(200 if raw != b"error" else 500)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("PEFTSEARCH_LLM_URL", f"http://127.0.0.1:{running.server_port}/v1")
    monkeypatch.setenv("PEFTSEARCH_LLM_MODEL", "scripted")
    try:
        yield
    finally:
        over.set()
        running.shutdown()


def helpful(prompt: str) -> str:
    """Six good configurations; predicts that the fourth is the best."""
    if "Predict" in prompt:
        return json.dumps({"scores": [0.5, 0.4, 0.3, -0.3, 0.2, 0.6]})
    return "Sure! ```json\n" + json.dumps({"configurations": GOOD}) + "\n```"


def test_takes_the_candidates_that_the_model_predicts_to_improve(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    with server(helpful, monkeypatch, seen):
        check("llambo", TWO)
        proposal = optimizer("llambo").propose(TWO, HISTORY, 2, np.random.default_rng(0))
    assert list(proposal.configs) == [GOOD[3], GOOD[4]]
    assert proposal.notes == ()
    assert all(json.dumps(dict(trial.config)) in seen[0] for trial in HISTORY.completed)
    assert "only when method is one of ['lora']" in seen[0]


def test_rejects_malformed_repeated_and_invalid_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = GOOD[0] | {"learning_rate": 5.0}
    mixed = [GOOD[0], GOOD[0], HISTORY.completed[0].config, outside, {"rank": 4}, "rank=4", None]
    with server(lambda _: json.dumps({"configurations": mixed}), monkeypatch):
        proposal = optimizer("llambo").propose(TWO, HISTORY, 2, np.random.default_rng(0))
    assert len(proposal.configs) == 2
    assert proposal.configs[0] == GOOD[0]
    assert config_hash(proposal.configs[1]) != config_hash(GOOD[0])
    assert proposal.notes == (
        "llambo: rejected 4 malformed or invalid answers",
        "llambo: rejected 2 repeated answers",
        "llambo: 1 of 2 configurations come from gp",
    )


@pytest.mark.parametrize(
    "answer", ["no idea", "{}", "[]", '{"configurations": 3}', b"error", b"\xff\xfe", b"{}", b'{"choices": []}', b""]
)
def test_garbage_leaves_it_to_gp(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    with server(lambda _: answer, monkeypatch):
        proposal = optimizer("llambo").propose(TWO, HISTORY, 1, np.random.default_rng(0))
    assert len(proposal.configs) == 1
    assert proposal.notes[0].startswith("llambo: the language model gave no candidates (")


def test_predictions_may_fail_without_losing_the_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(prompt: str) -> str:
        return '{"scores": [1, "two"]}' if "Predict" in prompt else helpful(prompt)

    with server(forgetful, monkeypatch):
        proposal = optimizer("llambo").propose(TWO, HISTORY, 1, np.random.default_rng(0))
    assert proposal.configs == (GOOD[0],)
    assert "predicted too little to choose by" in proposal.notes[0]


def test_a_server_that_hangs_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(lambda _: None, monkeypatch):
        proposal = optimizer("llambo", seconds=0.5).propose(TWO, HISTORY, 1, np.random.default_rng(0))
    assert len(proposal.configs) == 1
    assert "no candidates" in proposal.notes[0]


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTSEARCH_LLM_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("PEFTSEARCH_LLM_MODEL", "scripted")
    proposal = optimizer("llambo").propose(TWO, HISTORY, 1, np.random.default_rng(0))
    assert len(proposal.configs) == 1
    assert "ConnectError" in proposal.notes[0]


def test_is_refused_where_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTSEARCH_LLM_URL", raising=False)
    with pytest.raises(UnsupportedProblem, match="llambo: the service has no language model"):
        check("llambo", TWO)


def test_begins_with_what_the_model_recommends_without_results(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    pending = History(pending=(PendingTrial("p", DRAWN[0]),))
    with server(lambda _: json.dumps({"configurations": [DRAWN[0], *GOOD]}), monkeypatch, seen):
        proposal = optimizer("llambo").propose(TWO, pending, 2, np.random.default_rng(0))
    assert list(proposal.configs) == GOOD[:2]
    assert "maximize accuracy, minimize trainable_params" in seen[0]
    assert json.dumps(dict(DRAWN[0])) in seen[0]
    assert "score" not in seen[0]


def test_a_start_of_failures_only_goes_on_as_gp(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = History(failed=tuple(FailedTrial(str(i), config, "x") for i, config in enumerate(DRAWN[:5])))
    seen: list[str] = []
    with server(helpful, monkeypatch, seen):
        proposal = optimizer("llambo").propose(TWO, failed, 1, np.random.default_rng(0))
    assert len(proposal.configs) == 1
    assert seen == []


def test_every_generation_sees_the_trials_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    with server(helpful, monkeypatch, seen):
        optimizer("llambo", generations=4).propose(TWO, HISTORY, 1, np.random.default_rng(0))
    stories = [prompt for prompt in seen if "Predict" in prompt]
    assert len(set(stories)) == 4
    assert len({tuple(sorted(story.splitlines())) for story in stories}) == 1


def test_doubt_is_the_spread_of_the_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two candidates of equal mean: the one that the generations disagree on may improve, the other may not."""
    turn = count()

    def torn(prompt: str) -> str:
        if "Predict" not in prompt:
            return helpful(prompt)
        doubtful = 0.9 + (0.8 if next(turn) % 2 else -0.8)
        return json.dumps({"scores": [0.9, 0.9, 0.9, 0.9, doubtful, 0.9]})

    with server(torn, monkeypatch):
        proposal = optimizer("llambo", generations=4).propose(TWO, HISTORY, 1, np.random.default_rng(0))
    assert proposal.configs == (GOOD[4],)


def test_expected_improvement_is_that_of_a_normal_with_the_generations_moments() -> None:
    predicted = np.array([[0.2, 0.5, 0.1], [0.6, 0.5, 0.1], [0.4, 0.5, 0.1]])
    draws = np.random.default_rng(0).normal(0.4, 0.2, 200_000)
    found = expected_improvement(predicted, 0.3)
    assert found[0] == pytest.approx(np.maximum(0.3 - draws, 0.0).mean(), abs=2e-3)
    assert found[1:] == pytest.approx([0.0, 0.2])


class _Simulated:
    """A language model that knows the quality of every configuration, and says it, or the opposite (`honest`)."""

    def __init__(self, honest: bool) -> None:
        self.honest = honest

    def __call__(self, prompt: str) -> str:
        if "Predict" not in prompt:
            # Alike for both, and unlike from trial to trial.
            rng = np.random.default_rng(prompt.count("-> score"))
            return json.dumps({"configurations": MIXED.sample(8, rng)})
        asked = [json.loads(line) for line in prompt.split("in order:\n")[1].splitlines() if '"method"' in line]
        sign = -1.0 if self.honest else 1.0
        return json.dumps({"scores": [sign * quality(config) for config in asked]})


@pytest.mark.slow
def test_a_good_model_leads_elsewhere_and_further_than_a_bad_one(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, reached, asked = Problem(MIXED, (ACCURACY,)), {}, {}
    for honest in (True, False):
        done: list[CompletedTrial] = []
        with server(_Simulated(honest), monkeypatch):
            for number in range(12):
                proposal = optimizer("llambo", generations=2).propose(
                    problem, History(tuple(done)), 1, np.random.default_rng(number)
                )
                assert not any("gp" in note for note in proposal.notes)
                done.append(completed(number, proposal.configs[0]))
        asked[honest] = [config_hash(trial.config) for trial in done[5:]]
        reached[honest] = np.mean([quality(trial.config) for trial in done[5:]])
    drawn = np.mean([quality(config) for config in MIXED.sample(500, np.random.default_rng(0))])
    assert asked[True] != asked[False]
    assert reached[True] > drawn > reached[False]
