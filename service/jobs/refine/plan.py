"""The course of a refine job: its sources measured (or trained), then step after step, each from the best so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictors.answer import OutOfDomain
from service.jobs.plan import Conclusion, Measured
from service.jobs.refine.dimension import dimensions_of
from service.jobs.refine.results import result_config
from service.jobs.refine.sources import own_config
from service.jobs.refine.spec import PREFIX, RefineSpec
from service.jobs.seeds import trial_seed
from service.store.records import NewTrial, Trial
from workers.assignment import Assignment
from workers.models.description import describe_for
from workers.refining.sections.dimension import DimensionStep
from workers.refining.spec import RefineAssignment, Source
from workers.tasks.registry import METRICS

SOURCE = "source"
OF = f"{PREFIX}of"  # the numbers of the trials that a step worked on


@dataclass(frozen=True)
class RefinePlan:
    """See `service.jobs.plan.Plan`."""

    spec: RefineSpec

    def opening(self) -> list[NewTrial]:
        """The sources: adapters as they are, or configurations to train."""
        if self.spec.source.configs:
            configs = enumerate(self.spec.source.configs)
            return [NewTrial(config, "refine", trial_seed(self.spec.seed, n), SOURCE) for n, config in configs]
        return [NewTrial(one.config, "refine", one.seed, SOURCE) for one in self.spec.adapters]

    def assignment(self, trial: Trial, over: Sequence[Measured]) -> Assignment | RefineAssignment:
        """A source to train or to measure, or one choice of a step."""
        spec = self.spec
        common: dict[str, Any] = {
            "trial_id": trial.id,
            "attempt": trial.attempt,
            "task": spec.task,
            "config": own_config(trial.config),
            "seed": trial.seed,
            "data_seed": spec.seed if spec.data_seed is None else spec.data_seed,
            **spec.resources.whole(),
        }
        if trial.label == SOURCE:
            if spec.source.configs:
                return Assignment(epochs=spec.source.epochs, **common)
            sources = (spec.adapters[trial.number].source,)
            head = {"head": getattr(spec.steps[0], "head", "kept")}
            return RefineAssignment(
                epochs=1.0, step="measure", options=head, sources=sources, **common, **self._criterion()
            )
        step = spec.steps[self._stage(trial.label) - 1]
        options = {n.removeprefix(PREFIX): value for n, value in trial.config.items() if n.startswith(PREFIX)}
        chosen = next(one for one in step.choices() if all(one[name] == options[name] for name in _varied(one)))
        if step.afresh:
            return Assignment(epochs=chosen["epochs"], **common)
        numbers = [int(one) for one in str(options["of"]).split("+")]
        by_number = {one.number: one for one in over}
        return RefineAssignment(
            epochs=chosen.get("epochs", 1.0),
            step=step.step,
            options=chosen,
            sources=tuple(_source(by_number[number]) for number in numbers),
            **common,
            **self._criterion(),
        )

    def conclude(self, trials: Sequence[Measured], known: Mapping[str, Any] | None = None) -> Conclusion:
        """The trials of the next step, or what each step came to. Raises OutOfDomain where a step has no result."""
        del known
        last = max(self._stage(one.label) for one in trials)
        results = self._ranked([one for one in trials if one.completed and self._stage(one.label) == last])
        if not results:
            label = self._label(last)
            raise OutOfDomain("steps", label, "a step with a result: every trial of it failed")
        if last == len(self.spec.steps):
            return Conclusion(self._answer(trials))
        return Conclusion(more=tuple(self._next(last, results)))

    # Steps

    def _next(self, stage: int, results: Sequence[Measured]) -> list[NewTrial]:
        """Trials of the step behind `stage`, from the best results of the one before."""
        step, label = self.spec.steps[stage], self._label(stage + 1)
        begins = [list(results)] if step.gathers else [[one] for one in results[: self.spec.branches]]
        return [
            NewTrial(self._config(step.step, begin, choice), "refine", self._seed(begin[0], choice), label)
            for begin in begins
            for choice in step.choices()
        ]

    def _config(self, step: str, begin: Sequence[Measured], choice: Mapping[str, Any]) -> dict[str, Any]:
        told = {f"{PREFIX}{name}": choice[name] for name in _varied(choice)}
        configs = [own_config(one.config) for one in begin]
        return {
            **result_config(step, choice, configs, describe_for(self.spec.task)),
            OF: "+".join(str(one.number) for one in begin),
            **told,
        }

    def _seed(self, begin: Measured, choice: Mapping[str, Any]) -> int:
        """The source's, which its start is drawn from; of repeated trainings one for each repetition."""
        return trial_seed(self.spec.seed, choice["repeat"]) if "repeat" in choice else begin.seed

    def _stage(self, label: str | None) -> int:
        """0 for sources, then the steps from 1."""
        return next((n for n in range(1, len(self.spec.steps) + 1) if self._label(n) == label), 0)

    def _label(self, stage: int) -> str:
        return SOURCE if stage == 0 else self.spec.label(stage - 1)

    def _ranked(self, trials: Sequence[Measured]) -> list[Measured]:
        """Best first, by the first objective and then by the others; what was not measured comes last."""
        signs = {one.metric: -1.0 if one.direction == "maximize" else 1.0 for one in self.spec.objectives}

        def key(trial: Measured) -> list[float]:
            return [sign * trial.metrics.get(name, sign * float("inf")) for name, sign in signs.items()]

        return sorted(trials, key=key)

    def _criterion(self) -> dict[str, Any]:
        """What steps choose by: the first objective that is a quality."""
        for one in self.spec.objectives:
            if one.metric not in METRICS or METRICS[one.metric].kind == "quality":
                return {"criterion": one.metric, "maximize": one.direction == "maximize"}
        return {}

    def _answer(self, trials: Sequence[Measured]) -> dict[str, Any]:
        """Of every step its best trial, with what it reached by the objectives."""
        steps = []
        for stage in range(len(self.spec.steps) + 1):
            ranked = self._ranked([one for one in trials if one.completed and self._stage(one.label) == stage])
            if ranked:
                reached = {one.metric: ranked[0].metrics.get(one.metric) for one in self.spec.objectives}
                told = {"step": self._label(stage), "trial": ranked[0].number, "objectives": reached}
                step = None if stage == 0 else self.spec.steps[stage - 1]
                if isinstance(step, DimensionStep):
                    told["dimensions"] = dimensions_of(step, str(self._criterion()["criterion"]), ranked, trials)
                steps.append(told)
        return {"steps": steps}


def _varied(choice: Mapping[str, Any]) -> list[str]:
    """Names of plain options: what a configuration can say."""
    return [name for name, value in choice.items() if isinstance(value, bool | int | float | str)]


def _source(one: Measured) -> Source:
    return Source(config=own_config(one.config), seed=one.seed, artifact=one.model)
