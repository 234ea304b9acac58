"""One trial of a mixture job from assignment to outcome. Faults become a failed outcome."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Outcome
from workers.engines.course import Ending, OnReport
from workers.engines.faults import failure_reason
from workers.errors import InvalidInput
from workers.proxies.averages import Weights, average, greedy_soup
from workers.proxies.corpus import Corpus, load_corpus
from workers.proxies.sampling import Sequences, mixture
from workers.proxies.selection import select
from workers.proxies.spec import CorpusSpec, ProxyAssignment
from workers.proxies.training import mixed, new_proxy, quality, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MODEL, _SELECTION = "model.safetensors", "selection.json"
_OLD = "embedding.weight"  # of the proxies before they were models of transformers
_BOTH = ("validation", "test")


@dataclass
class ProxyBench:
    """What a worker process keeps between proxies: the corpus it read last. Proxies train on `device`."""

    home: Path
    artifacts: ArtifactStore
    device: str = "cpu"
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
            weights = load_file(self.artifacts.extract(artifact.sha256, Path(folder)) / _MODEL)
        if _OLD in weights:
            allowed = "proxies of this version: submit the job again"
            raise InvalidInput("parts", "the weights of a proxy that an earlier version trained", allowed)
        return weights

    def keep_model(self, model: PreTrainedModel, assignment: ProxyAssignment) -> Artifact:
        """Store a proxy, as transformers opens it, with what it was made of."""
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
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
        return _ROLES[assignment.role](assignment, corpus, bench, on_report)
    except Exception as error:  # whatever a configuration can provoke must end this trial and no other
        return _outcome(assignment, "failed", {}, reason=failure_reason(error))


def _train(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, on_report: OnReport) -> Outcome:
    model, ending = _trained(given, corpus, mixed(given, corpus), bench, on_report)
    if ending.status != "completed":
        return _unfinished(given, ending)
    kept = bench.keep_model(model, given) if given.keep_model else None
    return _outcome(given, "completed", _metrics(given, ending) | quality(model, corpus, given, ("test",)), kept)


def _average(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, _on_report: OnReport) -> Outcome:
    merged = average([bench.read_model(part.model) for part in given.parts], [part.weight for part in given.parts])
    return _outcome(given, "completed", quality(_loaded(given, corpus, merged, bench), corpus, given, _BOTH))


def _soup(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, _on_report: OnReport) -> Outcome:
    models = [bench.read_model(part.model) for part in given.parts]

    def measured(weights: Weights, splits: Sequence[str]) -> dict[str, float]:
        return quality(_loaded(given, corpus, weights, bench), corpus, given, splits)

    if given.greedy:
        soup, members = greedy_soup(models, lambda weights: measured(weights, ("validation",))["loss"])
    else:
        soup, members = average(models, [1.0] * len(models)), list(range(len(models)))
    best = measured(models[0], _BOTH)
    beside = {"best_member_loss": best["loss"], "best_member_test_loss": best["test_loss"]}
    metrics = measured(soup, _BOTH) | beside | {"members": float(len(members))}
    return _outcome(given, "completed", metrics, bench.keep_model(_loaded(given, corpus, soup, bench), given))


def _filter(given: ProxyAssignment, corpus: Corpus, bench: ProxyBench, on_report: OnReport) -> Outcome:
    spec = given.proxy
    natural = mixture(corpus, given.weights, spec.steps * spec.batch, spec.context, given.seed)
    prior, ending = _trained(given, corpus, natural, bench, on_report)
    if ending.status != "completed":
        return _unfinished(given, ending)
    chosen = select(given, corpus, prior)
    kept = {f"kept.{domain}": float(len(documents)) for domain, documents in chosen.items()}
    return _outcome(given, "completed", kept, bench.keep_selection(chosen))


_ROLES: dict[str, Callable[[ProxyAssignment, Corpus, ProxyBench, OnReport], Outcome]] = {
    "train": _train,
    "average": _average,
    "soup": _soup,
    "filter": _filter,
}


def _trained(
    given: ProxyAssignment, corpus: Corpus, read: Sequences, bench: ProxyBench, on_report: OnReport
) -> tuple[PreTrainedModel, Ending]:
    """A new proxy after its training, and how that ended."""
    model = new_proxy(given.proxy, corpus.vocabulary, given.seed, bench.device)
    measure = partial(quality, model, corpus, given, ("validation",))
    return model, train(model, read, given.proxy, given, measure, on_report)


def _unfinished(given: ProxyAssignment, ending: Ending) -> Outcome:
    return _outcome(given, ending.status, _metrics(given, ending), reason=ending.reason)


def _metrics(given: ProxyAssignment, ending: Ending) -> dict[str, float]:
    tokens = round(ending.epoch * given.proxy.steps) * given.proxy.batch * given.proxy.context
    return ending.metrics | {"train_seconds": ending.seconds, "train_tokens": float(tokens)}


def _loaded(given: ProxyAssignment, corpus: Corpus, weights: Weights, bench: ProxyBench) -> PreTrainedModel:
    model = new_proxy(given.proxy, corpus.vocabulary, given.seed, bench.device)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(weights[name])
    return model


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
