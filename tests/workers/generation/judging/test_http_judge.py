"""A judge over HTTP: asked in parts, again while it is silent, at allowed addresses alone; no score is asked twice."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.workers.judge_server import JudgeServer
from workers.generation.judging.http_judge import Waiting, Way, ask_service
from workers.generation.judging.rows import JudgedRow, JudgeFailed
from workers.generation.judging.section import HttpJudge
from workers.outbound.addresses import Allowed

ROWS = [JudgedRow(number, f"question {number}", "x" * number, "reference") for number in range(5)]
LOOPBACK = Way(Allowed("127.0.0.0/8", setting="judges"))


def judge(server: JudgeServer, **options: Any) -> HttpJudge:
    return HttpJudge(type="http", name="helpful", url=server.url, rows_at_once=2, **options)


def test_rows_are_scored_in_parts_in_their_order(judge_server: JudgeServer) -> None:
    assert ask_service(judge(judge_server), ROWS, LOOPBACK, Waiting()) == [0.0, 0.01, 0.02, 0.03, 0.04]
    assert [len(asked["rows"]) for asked in judge_server.got] == [2, 2, 1]
    assert judge_server.got[0]["metric"] == "helpful"
    assert judge_server.got[1]["rows"][0] == {
        "row": 2,
        "prompt": "question 2",
        "completion": "xx",
        "reference": "reference",
    }


def test_a_silent_judge_is_asked_again_and_rows_that_have_scores_are_not_sent_again(judge_server: JudgeServer) -> None:
    judge_server.refusals = [200, 503, 429, 500]
    pauses: list[float] = []
    found = ask_service(judge(judge_server), ROWS, LOOPBACK, Waiting(sleep=pauses.append))
    assert found == [0.0, 0.01, 0.02, 0.03, 0.04]
    assert pauses == [0.5, 1.0, 2.0]
    assert [asked["rows"][0]["row"] for asked in judge_server.got] == [0, 2, 2, 2, 2, 4]


def test_it_is_given_up_when_its_patience_or_its_worker_ends(judge_server: JudgeServer) -> None:
    judge_server.refusals = [503] * 20
    now = [0.0]
    waiting = Waiting(sleep=lambda seconds: now.__setitem__(0, now[0] + seconds), clock=lambda: now[0])
    with pytest.raises(JudgeFailed, match=r"helpful: .* was asked 4 times in 5 s; at last it answered 503"):
        ask_service(judge(judge_server, patience=5), ROWS, LOOPBACK, waiting)
    with pytest.raises(JudgeFailed, match="1 times until its worker had to leave"):
        ask_service(judge(judge_server), ROWS, LOOPBACK, Waiting(give_up=lambda: True))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        away = judge(judge_server, patience=0).model_copy(
            update={"url": f"http://127.0.0.1:{nobody.getsockname()[1]}/"}
        )
        with pytest.raises(JudgeFailed, match="ConnectError"):
            ask_service(away, ROWS, LOOPBACK, Waiting())


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda rows: [0.5] * (len(rows) + 1), "found 3 scores; allowed: a list of 2 numbers"),
        (lambda rows: [2.0 for _ in rows], r"the score 2.0 of row 0; allowed: a number from 0 to 1"),
        (lambda rows: ["good" for _ in rows], "the score 'good'"),
        (lambda rows: [True for _ in rows], "the score True"),
        (lambda rows: [float("nan") for _ in rows], "the score nan"),
        (lambda _: None, "found None"),
    ],
)
def test_an_answer_that_is_none_is_no_score(judge_server: JudgeServer, score: Any, said: str) -> None:
    judge_server.score = score
    with pytest.raises(JudgeFailed, match=said):
        ask_service(judge(judge_server), ROWS, LOOPBACK, Waiting())
    assert len(judge_server.got) == 1


def test_a_token_is_sent_and_no_message_tells_it(judge_server: JudgeServer) -> None:
    way = Way(LOOPBACK.allowed, "tok-5f3a9c")
    judge_server.token = "tok-5f3a9c"
    assert ask_service(judge(judge_server), ROWS, way, Waiting()) == [0.0, 0.01, 0.02, 0.03, 0.04]
    with pytest.raises(JudgeFailed, match="you sent None"):
        ask_service(judge(judge_server), ROWS, LOOPBACK, Waiting())
    judge_server.token = "another"
    with pytest.raises(JudgeFailed, match=r"you sent Bearer \*\*\*"):
        ask_service(judge(judge_server), ROWS, way, Waiting())
    judge_server.token, judge_server.score = None, lambda rows: ["tok-5f3a9c" for _ in rows]
    with pytest.raises(JudgeFailed, match=r"the score '\*\*\*'"):
        ask_service(judge(judge_server), ROWS, way, Waiting())


def test_a_refusal_is_not_asked_again_and_addresses_are_checked(judge_server: JudgeServer) -> None:
    judge_server.refusals = [401]
    with pytest.raises(JudgeFailed, match="answered 401"):
        ask_service(judge(judge_server), ROWS, LOOPBACK, Waiting())
    for listed in ("off", "any", "10.0.0.0/8"):
        with pytest.raises(JudgeFailed, match="--judges"):
            ask_service(judge(judge_server), ROWS, Way(Allowed(listed, setting="judges")), Waiting())
    assert len(judge_server.got) == 1
