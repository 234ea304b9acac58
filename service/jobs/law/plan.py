"""The course of a law job: a grid of sizes × settings trained on the product's own workers, then the law of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictors.law_answer import averaged, fitted, variables_of
from service.jobs.law.spec import LawSpec
from service.jobs.plan import Conclusion, Measured
from service.jobs.seeds import trial_seed
from service.store.records import NewTrial, Trial
from workers.assignment import Assignment

SIZE_OF_DATA = ("train_rows", "epochs")
LEVEL = 0.9


@dataclass(frozen=True)
class LawPlan:
    """See `service.jobs.plan.Plan`."""

    spec: LawSpec

    def opening(self) -> list[NewTrial]:
        """The whole grid. Trainings of one repetition share a seed, so that they differ by size and setting only."""
        spec, design = self.spec, self.spec.design
        return [
            NewTrial({"method": spec.method, **spec.fixed, **size, **setting}, "design", trial_seed(spec.seed, repeat))
            for repeat in range(design.seeds)
            for size in design.sizes()
            for setting in design.settings()
        ]

    def assignment(self, trial: Trial, over: Sequence[Measured] = ()) -> Assignment:
        """The training of one point of the grid, which depends on no other."""
        del over
        config = {name: value for name, value in trial.config.items() if name not in SIZE_OF_DATA}
        return Assignment(
            trial_id=trial.id,
            attempt=trial.attempt,
            task=self.spec.task.model_copy(update={"train_rows": trial.config["train_rows"]}),
            config=config,
            epochs=trial.config["epochs"],
            seed=trial.seed,
            data_seed=self.spec.seed,
            measure_latency=False,
            **self.spec.resources.whole(),
        )

    def conclude(self, trials: Sequence[Measured], known: Mapping[str, Any] | None = None) -> Conclusion:
        """The law of the trainings that completed. Raises OutOfDomain when they determine none."""
        del known  # there is one stage
        rows = averaged([_row(one) for one in trials if one.completed])
        variables = variables_of(rows)
        answer = fitted(rows, None, LEVEL, variables)
        notes = []
        if failed := sum(not one.completed for one in trials):
            notes.append(f"{failed} of {len(trials)} trainings did not complete; the law rests on the others")
        if edge := answer["batch_edge"]:
            notes.append(f"no batch among those tried is clearly the best: the law holds at the {edge}")
        return Conclusion(answer | {"batch_unit": "rows", "method": self.spec.method, "runs": rows}, notes=tuple(notes))


def _row(one: Measured) -> dict[str, float]:
    """A training as the law sees it; the rank where the method has one."""
    row = {
        "parameters": one.metrics["trainable_params"],
        "tokens": one.metrics["train_tokens"],
        "learning_rate": float(one.config["learning_rate"]),
        "batch": float(one.config["batch_size"]),
        "loss": one.metrics["loss"],
    }
    rank = one.config.get("rank")
    return row | ({"rank": float(rank)} if isinstance(rank, int | float) else {})
