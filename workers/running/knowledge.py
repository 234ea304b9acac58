"""What a trial forgets of data that its base can deal with already. Needs torch.

A model that writes is asked for the loss of these texts, before and after. A model that reads has no head for them: a
logistic regression on what the base's head is given (the mean over a row's tokens) stands for one. It is fitted once,
on the base, and asked again where the trained model gives the states: the accuracy it loses is what was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass, evaluation_batches, measure_in
from workers.engines.resident import ResidentBase
from workers.errors import InvalidInput
from workers.methods.attached import Attached
from workers.models.loading import Base
from workers.tasks.knowledge import knowledge_section
from workers.tasks.metrics import FORGETTING
from workers.tasks.registry import task_of
from workers.tasks.section import TaskSection

if TYPE_CHECKING:
    from workers.running.workbench import Workbench

_FITTED = 1000
"""Rows of the base's knowledge that a probe is fitted on, and at most half as many that it is asked about."""


@dataclass(frozen=True)
class Knowledge:
    """Rows of the base's knowledge, and how it does on those that nothing was fitted on."""

    train: Inputs
    asked: Inputs
    probe: Any  # scikit-learn's; None where the model itself is asked
    before: float

    def after(self, attached: Attached, base: Base) -> float:
        """The same of the trained model."""
        attached.set_training(False)
        try:
            return _asked(attached.model, base, self.asked, self.probe)
        finally:
            attached.set_training(True)

    def forgetting(self, attached: Attached, base: Base) -> tuple[dict[str, float], dict[str, str]]:
        """The metric, and what it is the difference of."""
        after = self.after(attached, base)
        lost = after - self.before if self.probe is None else self.before - after
        told = {"knowledge_before": f"{self.before:.6g}", "knowledge_after": f"{after:.6g}"}
        return {FORGETTING.name: lost}, told


def knowledge_of(
    task: TaskSection, seed: int, resident: ResidentBase, shards: int, workbench: Workbench
) -> Knowledge | None:
    """What the base can do with a job's knowledge. Call it while the base carries no adapter. Raises `InvalidInput`."""
    section = knowledge_section(task)
    if section is None:
        return None
    if shards > 1:
        raise InvalidInput("knowledge", f"with a base in {shards} parts", "a base that is whole (`shards: 1`)")
    key = (section.model_dump_json(), task_of(task).head, seed, resident.weights_hash)
    if key not in workbench.known:
        data, base = workbench.data(section, seed), resident.base
        probe = None if task_of(task).head.reads == "labelled" else _fitted(base, data.train, seed)
        before = _asked(base.model, base, data.validation, probe)
        workbench.known = {key: Knowledge(data.train, data.validation, probe, before)}
    return workbench.known[key]


def _asked(model: nn.Module, base: Base, rows: Inputs, probe: Any) -> float:
    """The mean loss of a model that writes, or the accuracy of the probe on what a model that reads makes of rows."""
    if probe is None:
        whole = WholePass(model, rows)
        with torch.no_grad():
            return measure_in(whole, evaluation_batches(whole)).result()["loss"]
    chosen = np.arange(min(len(rows), _FITTED // 2))
    return float(probe.score(_features(model, base, rows, chosen), _targets(rows, chosen)))


def _fitted(base: Base, rows: Inputs, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = np.random.default_rng(seed).permutation(len(rows))[:_FITTED]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return probe.fit(_features(base.model, base, rows, chosen), _targets(rows, chosen))


def _targets(rows: Inputs, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows.targets(chosen).cpu().numpy()


@torch.no_grad()
def _features(model: nn.Module, base: Base, rows: Inputs, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Vectors `[rows, hidden]` of rows: means over their tokens of what the head is given."""
    found = []
    with _given_to_head(base) as given:
        for part in np.array_split(chosen, max(1, len(chosen) // 16)):
            batch = rows.batch(part)
            logits = model(**batch).logits
            states = (given.pop() if base.head else logits).float()
            found.append(_pooled(states, batch.get("attention_mask")).cpu().numpy())
    return np.concatenate(found)


def _pooled(states: Tensor, mask: Tensor | None) -> Tensor:
    if states.ndim == 2:
        return states
    if mask is None:  # of images and sounds every place counts
        return states.mean(1)
    real = mask[..., None].to(states.dtype)
    own = states[:, -mask.shape[1] :]  # prompts stand in front
    return (own * real).sum(1) / real.sum(1)


@contextmanager
def _given_to_head(base: Base) -> Iterator[list[Tensor]]:
    """Collects what the lowest module of the head is called with."""
    given: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        given[:] = [inputs[0]]

    handles = [base.model.get_submodule(name).register_forward_pre_hook(keep) for name in base.head[:1]]
    try:
        yield given
    finally:
        for handle in handles:
            handle.remove()
