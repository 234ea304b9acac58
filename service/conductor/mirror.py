"""A job's trials as the store has them, counted by state, so that no decision has to look through all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from service.store.records import Event, Trial, TrialState
from service.store.states import TRIAL_OVER


class TrialMirror(Mapping[str, Trial]):
    """Trials by id. `states` counts them, `waiting` holds those that could be started (the queued ones)."""

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self.states: Counter[TrialState] = Counter()
        self.waiting: dict[str, Trial] = {}
        self.next_number = 0  # of the next trial that the store will add
        self._by_id: dict[str, Trial] = {}
        for trial in trials:
            self.put(trial)

    def __getitem__(self, trial_id: str) -> Trial:
        return self._by_id[trial_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ended(self) -> int:
        """Trials that are over: the amount of evidence."""
        return sum(self.states[state] for state in TRIAL_OVER)

    @property
    def open(self) -> int:
        """Trials that are not over."""
        return len(self) - self.ended

    def put(self, trial: Trial) -> None:
        """Mirror a trial's present row; what is known to be newer stays."""
        self.next_number = max(self.next_number, trial.number + 1)
        known = self._by_id.get(trial.id)
        if known is not None and known.attempt > trial.attempt:
            return
        self.drop([trial.id])
        self._by_id[trial.id] = trial
        self.states[trial.state] += 1
        if trial.state == "queued":
            self.waiting[trial.id] = trial

    def drop(self, trial_ids: Iterable[str]) -> None:
        """Forget suggestions that were taken back; unknown ones are ignored."""
        for trial_id in trial_ids:
            known = self._by_id.pop(trial_id, None)
            if known is not None:
                self.states[known.state] -= 1
                self.waiting.pop(trial_id, None)

    def is_news(self, event: Event) -> bool:
        """Whether a trial's event tells something that the mirror does not show."""
        known = self._by_id.get(event.payload["trial_id"])
        if known is None or f"trial.{known.state}" != event.kind:
            return known is None or known.attempt <= event.payload["attempt"]
        same_config = event.payload.get("config", known.config) == known.config
        return known.attempt < event.payload["attempt"] or not same_config
