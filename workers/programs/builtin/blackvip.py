"""A prompt for a model behind an HTTP endpoint, found without gradients (Oh et al. 2023, BlackVIP, arXiv 2303.14773).

The endpoint classifies images: `POST {"images": [[64 numbers from 0 to 16] …]}` answers `{"probabilities": [[…] …]}`,
and nothing else of the model is known. A coordinator draws a prompt into each image: a bias for each pixel, and a part
that follows from what a fixed random encoder sees in the image. SPSA-GC moves its numbers by two losses for each step.

Name the endpoint as the program's argument. Without one the program serves a classifier of scikit-learn's digits
itself, for images that it was not trained for: they come with a stain, which the prompt has to make up for.
"""

import http.client
import json
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from peftsearch import program

PIXELS, SEEN = 64, 4  # of an image; features of the encoder
ROWS, HELD = 200, 400  # images to learn from, and to measure on
SIZE_FALLS, RATE_FALLS, MOMENTUM = 0.101, 0.602, 0.9  # SPSA's usual powers of the step


class Endpoint:
    """A classifier of which only answers are known. `asked` counts the requests."""

    def __init__(self, url):
        self.where = urllib.parse.urlsplit(url)
        self.asked = 0

    def probabilities(self, images):
        """`[rows, classes]` of images `[rows, 64]`. Raises OSError where the endpoint does not answer as it should."""
        self.asked += 1
        secure = self.where.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self.where.netloc, timeout=60)
        try:
            body = json.dumps({"images": images.round(4).tolist()})
            connection.request("POST", self.where.path or "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise OSError(f"{self.where.geturl()} answered {answer.status}: {text[:200]!r}")
            found = np.asarray(json.loads(text)["probabilities"], dtype=float)
        finally:
            connection.close()
        if found.ndim != 2 or len(found) != len(images):
            raise OSError(f"{self.where.geturl()}: {len(images)} images, and probabilities of shape {found.shape}")
        return found


class Coordinator:
    """Prompted images: x + b + D·e(x) with a fixed random encoder e; b `[64]` and D `[64, 4]` are what is trained."""

    def __init__(self, seed):
        self.encoder = np.random.default_rng(seed).standard_normal((PIXELS, SEEN)) / PIXELS**0.5
        self.numbers = np.zeros(PIXELS * (1 + SEEN))

    def prompted(self, images, numbers):
        """Images with the prompt of these numbers, in the range of images."""
        bias, decoder = numbers[:PIXELS], numbers[PIXELS:].reshape(SEEN, PIXELS)
        return np.clip(images + bias + np.tanh(images @ self.encoder / 16) @ decoder, 0, 16)


class SpsaGc:
    """Steps from two losses: ĝ = [L(φ + cΔ) − L(φ − cΔ)] / (2cΔ), with a momentum that looks ahead; a and c fall."""

    def __init__(self, rate, size, seed):
        self.rate, self.size, self.seed = rate, size, seed
        self.momentum, self.step = 0.0, 0

    def moved(self, numbers, loss):
        """The numbers behind another step; `loss` is asked for twice."""
        self.step += 1
        draw = np.random.default_rng([self.seed, self.step])
        change = draw.uniform(0.5, 1, len(numbers)) * draw.choice([-1.0, 1.0], len(numbers))
        width = self.size / self.step**SIZE_FALLS
        estimate = (loss(numbers + width * change) - loss(numbers - width * change)) / (2 * width * change)
        self.momentum = MOMENTUM * self.momentum + estimate
        rate = self.rate * (20 / (self.step + 19)) ** RATE_FALLS
        return numbers - rate * (estimate + MOMENTUM * self.momentum)


def served():
    """The address of a classifier of clean digits in a thread of this program."""
    found = load_digits()
    model = LogisticRegression(max_iter=300).fit(found.data[: -ROWS - HELD], found.target[: -ROWS - HELD])

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"probabilities": model.predict_proba(np.asarray(asked["images"])).tolist()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def stained():
    """Digits that no classifier has seen, with the same stain on each: images and classes to learn from, and others."""
    found = load_digits()
    images, classes = found.data[-ROWS - HELD :].copy(), found.target[-ROWS - HELD :]
    stain = np.zeros((8, 8))
    stain[1:7, 2:4] = 8
    images = np.clip(images + stain.ravel(), 0, 16)
    return images[:ROWS], classes[:ROWS], images[ROWS:], classes[ROWS:]


def loss_of(probabilities, classes):
    return float(-np.log(np.clip(probabilities[np.arange(len(classes)), classes], 1e-6, 1)).mean())


def main(trial):
    """Train a prompt for the trial's epochs of `steps` steps; told is the loss of images that it did not learn from."""
    config = trial.config
    endpoint = Endpoint(sys.argv[1] if len(sys.argv) > 1 else served())
    images, classes, held, held_classes = stained()
    coordinator, spsa = Coordinator(trial.seed), SpsaGc(config["learning_rate"], config["size"], trial.seed)
    if trial.checkpoint:
        kept = json.loads((trial.checkpoint / "prompt.json").read_text())
        coordinator.numbers, spsa.momentum = np.array(kept["numbers"]), np.array(kept["momentum"])
        spsa.step = kept["step"]
    unprompted = loss_of(endpoint.probabilities(held), held_classes)
    for epoch in range(trial.start, int(trial.epochs)):
        before = endpoint.asked
        for _ in range(config["steps"]):
            rows = np.random.default_rng([trial.seed, spsa.step]).choice(len(images), 64, replace=False)

            def loss(numbers, rows=rows):
                return loss_of(endpoint.probabilities(coordinator.prompted(images[rows], numbers)), classes[rows])

            coordinator.numbers = spsa.moved(coordinator.numbers, loss)
        requests = (endpoint.asked - before) / config["steps"]
        found = endpoint.probabilities(coordinator.prompted(held, coordinator.numbers))
        kept = {"numbers": coordinator.numbers.tolist(), "momentum": spsa.momentum.tolist(), "step": spsa.step}
        (trial.output / "prompt").mkdir(exist_ok=True)
        (trial.output / "prompt" / "prompt.json").write_text(json.dumps(kept))
        told = {"loss": loss_of(found, held_classes), "accuracy": float((found.argmax(1) == held_classes).mean())}
        told |= {"unprompted_loss": unprompted, "requests_per_step": requests, "trained": len(coordinator.numbers)}
        if trial.report(told, epoch=epoch + 1, checkpoint=trial.output / "prompt") != "continue":
            break


if __name__ == "__main__":
    main(program.trial())
