"""Laws that were learnt here, in place of published constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from predictors import answer as predicted
from predictors.law_answer import from_json
from predictors.law_fit import FittedLaw
from service.store.records import Answer
from service.store.store import Store

PUBLISHED = "published"
UNITS = ("tokens", "rows", "sequences")  # of batches, that a field can be named after


@dataclass(frozen=True)
class OwnLaw:
    """A stored law."""

    stored: Answer
    law: FittedLaw

    @classmethod
    def of(cls, stored: Answer) -> OwnLaw:
        """Read the law in an answer."""
        return cls(stored, from_json(stored.body["law"]))

    def answer(self, sizes: Mapping[str, float], level: float) -> predicted.Answer:
        """What the law says for a size, and which law that is. Raises OutOfDomain."""
        found = self.law.answer(sizes, level)
        unit = str(self.stored.body.get("batch_unit", "tokens"))
        batch = replace(found.quantities["batch"], unit=unit)
        name = f"batch_{unit}" if unit in UNITS else "batch"
        quantities = {"learning_rate": found.quantities["learning_rate"], name: batch}
        origin = f"job {self.stored.job_id}" if self.stored.job_id else "an uploaded table"
        told = f"your law {self.stored.name!r}, version {self.stored.version} of {self.stored.created_at:%Y-%m-%d}"
        return replace(found, quantities=quantities, source=f"{told}, from {origin}: {found.source}")


def own_law(store: Store, name: str, version: int | None, project: str | None) -> OwnLaw:
    """A law by name, of a project or (None) of any. Raises NotFound."""
    return OwnLaw.of(store.answer("law", name, version, project))


def law_for(store: Store, name: str | None, sizes: Mapping[str, float], project: str | None) -> OwnLaw | None:
    """The law to answer with: the named one; without a name the latest that was measured at such sizes; None for the
    published constants. Raises NotFound for a name that is not there."""
    if name == PUBLISHED:
        return None
    if name is not None:
        return own_law(store, name, None, project)
    laws = map(OwnLaw.of, store.newest_answers("law", project=project))
    return next((own for own in laws if own.law.covers(sizes)), None)
