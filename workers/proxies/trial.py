"""One trial of a mixture job from assignment to outcome. Faults become a failed outcome."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Decision, Outcome, Report
from workers.engines.course import OnReport
from workers.engines.faults import failure_reason
from workers.proxies.averages import Weights, average, greedy_soup
from workers.proxies.corpus import Corpus, load_corpus
from workers.proxies.model import Proxy
from workers.proxies.selection import select
from workers.proxies.spec import CorpusSpec, ProxyAssignment
from workers.proxies.training import OnProgress, mixed, new_proxy, quality, train

_MODEL, _SELECTION = "model.safetensors", "selection.json"
_BOTH = ("validation", "test")


@dataclass
class ProxyBench:
    """What a worker process keeps between proxies: the corpus it read last."""

    home: Path
    artifacts: ArtifactStore
    _kept: tuple[tuple[str, int, str | None], Corpus] | None = None

    def clear(self) -> None:
        """Forget the corpus."""
        self._kept = None

    def corpus(self, spec: CorpusSpec, seed: int, selection: Artifact | None) -> Corpus:
        """The corpus, only the selected documents of it where there is a selection. Raises InvalidInput."""
        key = (spec.model_dump_json(), seed, selection.sha256 if selection else None)
        if self._kept is None or self._kept[0] != key:
            corpus = load_corpus(spec, seed, self.home / "cache")
            self._kept = (key, corpus if selection is None else corpus.select(self._read_selection(selection)))
        return self._kept[1]

    def _read_selection(self, artifact: Artifact) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return json.loads((self.artifacts.extract(artifact.sha256, Path(folder)) / _SELECTION).read_text())

    def read_model(self, artifact: Artifact) -> Weights:
        """The weights of a stored proxy."""
        with tempfile.TemporaryDirectory() as folder:
            return load_file(self.artifacts.extract(artifact.sha256, Path(folder)) / _MODEL)

    def keep_model(self, proxy: Proxy, assignment: ProxyAssignment) -> Artifact:
        """Store a proxy with what it was made of."""
        with tempfile.TemporaryDirectory() as folder:
            weights = {name: value.detach().contiguous() for name, value in proxy.state_dict().items()}
            save_file(weights, Path(folder) / _MODEL)
            card = assignment.model_dump(mode="json", include={"proxy", "corpus", "weights", "seed"})
            (Path(folder) / "proxy.json").write_text(json.dumps(card, indent=1, sort_keys=True))
            return self.artifacts.put_folder(Path(folder))

    def keep_selection(self, chosen: dict[str, list[int]]) -> Artifact:
        """Store which documents were kept."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / _SELECTION).write_text(json.dumps(chosen, sort_keys=True))
            return self.artifacts.put_folder(Path(folder))


def train_proxy(assignment: ProxyAssignment, bench: ProxyBench, on_report: OnReport) -> Outcome:
    """Do what the assignment's role asks. A fault of the trial is not raised: the outcome is then `failed`."""
    try:
        corpus = bench.corpus(assignment.corpus, assignment.data_seed, assignment.selection)
        return _ROLES[assignment.role](assignment, corpus, bench, _teller(assignment, on_report))
    except Exception as error:  # whatever a configuration can provoke must end this trial and no other
        return _outcome(assignment, "failed", {}, reason=failure_reason(error))


def _train(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, tell: OnProgress) -> Outcome:
    proxy = new_proxy(given.proxy, corpus.vocabulary, given.seed)
    stream = mixed(corpus, given.shared_weights, given.shared, given.weights, given.proxy, given.seed)
    context = given.proxy.context
    run = train(
        proxy, stream, given.proxy, lambda: quality(proxy, corpus, given.target, context, ("validation",)), tell
    )
    if run.ending == "diverged":
        return _outcome(
            given, "failed", run.metrics, reason=f"nan_loss: the training loss diverged by step {run.steps}"
        )
    metrics = run.metrics | {
        "train_seconds": run.seconds,
        "train_tokens": float(run.steps * given.proxy.batch * context),
    }
    if run.ending == "stopped":
        return _outcome(given, "stopped", metrics, reason="stopped by the scheduler")
    metrics |= quality(proxy, corpus, given.target, context, ("test",))
    model = bench.keep_model(proxy, given) if given.keep_model else None
    return _outcome(given, "completed", metrics, model)


def _average(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, _tell: OnProgress) -> Outcome:
    merged = average([bench.read_model(part.model) for part in given.parts], [part.weight for part in given.parts])
    proxy = _loaded(given, corpus, merged)
    return _outcome(given, "completed", quality(proxy, corpus, given.target, given.proxy.context, _BOTH))


def _soup(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, _tell: OnProgress) -> Outcome:
    models = [bench.read_model(part.model) for part in given.parts]

    def measured(weights: Weights, splits: Sequence[str]) -> dict[str, float]:
        return quality(_loaded(given, corpus, weights), corpus, given.target, given.proxy.context, splits)

    if given.greedy:
        soup, members = greedy_soup(models, lambda weights: measured(weights, ("validation",))["loss"])
    else:
        soup, members = average(models, [1.0] * len(models)), list(range(len(models)))
    best = measured(models[0], _BOTH)
    beside = {"best_member_loss": best["loss"], "best_member_test_loss": best["test_loss"]}
    metrics = measured(soup, _BOTH) | beside | {"members": float(len(members))}
    return _outcome(given, "completed", metrics, bench.keep_model(_loaded(given, corpus, soup), given))


def _filter(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, tell: OnProgress) -> Outcome:
    assert given.filter is not None
    chosen = select(corpus, given.proxy, given.filter, given.target, given.weights, given.seed, tell)
    kept = {f"kept.{domain}": float(len(documents)) for domain, documents in chosen.items()}
    return _outcome(given, "completed", kept, bench.keep_selection(chosen))


_ROLES: dict[str, Callable[[ProxyAssignment, Corpus, ProxyBench, OnProgress], Outcome]] = {
    "train": _train,
    "average": _average,
    "soup": _soup,
    "filter": _filter,
}


def _loaded(given: ProxyAssignment, corpus: Corpus, weights: dict[str, Tensor]) -> Proxy:
    proxy = Proxy(given.proxy, corpus.vocabulary)
    proxy.load_state_dict(weights)
    return proxy


def _teller(given: ProxyAssignment, on_report: OnReport) -> OnProgress:
    def tell(step: int, seconds: float, metrics: dict[str, float]) -> Decision:
        return on_report(
            Report(
                trial_id=given.trial_id,
                attempt=given.attempt,
                step=step,
                epoch=step / given.proxy.steps,
                metrics=metrics,
                seconds=seconds,
            )
        )

    return tell


def _outcome(
    given: ProxyAssignment,
    status: Any,
    metrics: dict[str, float],
    kept: Artifact | None = None,
    reason: str | None = None,
) -> Outcome:
    environment = {"torch": torch.__version__, "threads": str(torch.get_num_threads())}
    return Outcome(
        trial_id=given.trial_id,
        attempt=given.attempt,
        status=status,
        metrics=metrics,
        adapter=kept,
        environment=environment,
        reason=reason,
    )
