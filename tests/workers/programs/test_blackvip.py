"""A prompt for a model behind an endpoint: answers are all that is known of it, and two of them make a step."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.programs_job import Programs
from workers.artifacts import ArtifactStore
from workers.programs.builtin.blackvip import Coordinator, Endpoint, SpsaGc

CONFIG = {"learning_rate": 0.3, "size": 0.5, "steps": 40}
NEEDED = ("loss", "accuracy", "unprompted_loss", "requests_per_step")


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path / "programs", ArtifactStore(tmp_path / "artifacts"))


@pytest.fixture
def brightness() -> Iterator[tuple[str, list[int]]]:
    """An endpoint whose model is sure of the class 0 where an image is bright; its address and how many it answered."""
    answered: list[int] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path not in ("/classify", "/flat"):
                self.send_error(404)
                return
            images = np.array(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["images"])
            answered.append(len(images))
            first = 1 / (1 + np.exp(-(images.mean(1) - 8)))
            rest = np.repeat(((1 - first) / 9)[:, None], 9, axis=1)
            found = first if self.path == "/flat" else np.column_stack([first, rest])
            body = json.dumps({"probabilities": found.tolist()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/classify", answered
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_prompt_makes_up_for_what_the_endpoint_was_not_trained_for_with_two_requests_a_step(
    programs: Programs,
) -> None:
    outcome = programs.run("builtin:blackvip", config=CONFIG, epochs=2, needed=NEEDED)
    assert outcome.status == "completed", outcome.reason
    assert outcome.metrics["requests_per_step"] == 2
    assert outcome.metrics["loss"] < 0.7 * outcome.metrics["unprompted_loss"]
    assert outcome.metrics["trained"] < 1000


@pytest.mark.slow
def test_a_paused_prompt_goes_on_where_it_was(programs: Programs) -> None:
    config = CONFIG | {"steps": 5}
    whole = programs.run("builtin:blackvip", config=config, epochs=2, needed=NEEDED)
    first = programs.run("builtin:blackvip", config=config, epochs=2, needed=NEEDED, pause_every=1)
    assert first.status == "paused"
    second = programs.run(
        "builtin:blackvip", config=config, epochs=2, needed=NEEDED, checkpoint=first.checkpoint, attempt=2
    )
    assert second.metrics["loss"] == pytest.approx(whole.metrics["loss"], abs=1e-9)


def test_the_endpoint_that_is_named_is_the_one_that_is_asked(
    programs: Programs, brightness: tuple[str, list[int]]
) -> None:
    url, answered = brightness
    config = CONFIG | {"steps": 5}
    outcome = programs.run("builtin:blackvip", config=config, epochs=1, needed=NEEDED, arguments=(url,))
    assert outcome.status == "completed", outcome.reason
    assert len(answered) == 2 + 2 * 5  # the held images before and afterwards, and two for each step


def test_an_endpoint_that_does_not_answer_fails_the_trial_by_name(
    programs: Programs, brightness: tuple[str, list[int]]
) -> None:
    url = brightness[0] + "-not"
    outcome = programs.run("builtin:blackvip", config=CONFIG, epochs=1, needed=NEEDED, arguments=(url,))
    assert outcome.status == "failed"
    assert f"{url} answered 404" in str(outcome.reason)


def test_an_estimate_over_many_steps_is_the_slope() -> None:
    """Of a linear loss; with a momentum of its own the direction stays that of the slope."""
    slope = np.linspace(-1, 1, 8)
    moved = [
        SpsaGc(rate=1.0, size=0.1, seed=seed).moved(np.zeros(8), lambda x: float(slope @ x)) for seed in range(900)
    ]
    mean = -np.mean(moved, axis=0)
    assert np.corrcoef(mean, slope)[0, 1] > 0.95


def test_prompts_stay_in_the_range_of_images_and_begin_as_nothing() -> None:
    coordinator, images = Coordinator(0), np.random.default_rng(0).uniform(0, 16, (5, 64))
    assert np.array_equal(coordinator.prompted(images, coordinator.numbers), images)
    far = coordinator.prompted(images, np.full(len(coordinator.numbers), 100.0))
    assert far.min() >= 0
    assert far.max() <= 16


def test_answers_of_another_shape_are_refused(brightness: tuple[str, list[int]]) -> None:
    endpoint = Endpoint(brightness[0].replace("/classify", "/flat"))
    with pytest.raises(OSError, match=r"3 images, and probabilities of shape \(3,\)"):
        endpoint.probabilities(np.zeros((3, 64)))
