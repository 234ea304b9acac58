"""From a job's sources to judged pairs of queries and documents. Imports no torch.

Splits are made by queries: all that is judged for a query lies in one of them. Documents are shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from workers.data.judged.collection import Collection
from workers.data.judged.gathered import Gathered, Split, pairs_of
from workers.data.judged.tables import add_pairs, add_triples, form_of
from workers.data.rows import Rows, TaskData
from workers.data.sources import columns_of, divided, located, read_splits
from workers.errors import InvalidInput
from workers.tasks.ranking.section import RankingSection
from workers.tasks.section import domain_left_out

OUTPUTS = ("relevance",)
COLLECTION = "corpus, queries and judgements"
_FORMS = {
    "pairs": "pairs with grades",
    "positives": "pairs that belong together",
    "triples": "queries with positives and negatives",
}


def read(task: RankingSection, seed: int = 0) -> TaskData:
    """The judged pairs of a task. Raises `InvalidInput` naming the field and the row."""
    all_of = Gathered()
    collection = None if task.train.startswith("builtin:") else Collection.at(located(task.train, "train"), "train")
    if collection is None:
        form, splits = _tables(task, all_of)
    else:
        form, splits = COLLECTION, _collections(task, collection, all_of)
    for role, split in splits.items():
        if not any(grade > 0 for grades in split.grades for grade in grades.values()):
            raise InvalidInput(role, f"no relevant document in {getattr(task, role) or task.train}", "some that are")
    trained = np.array(sorted(splits["train"].seen), dtype=np.int64)
    documents, listed = tuple(all_of.documents), splits["train"].listed and collection is None
    data = divided(
        task, seed, OUTPUTS, {role: split.rows() for role, split in splits.items()},
        strata=lambda rows: np.zeros(len(rows), dtype=np.int64),
    )  # fmt: skip

    def pairs(rows: Rows) -> Rows:
        return pairs_of(rows, documents, trained, listed)

    test = None if data.test is None else pairs(data.test)
    return replace(data, train=pairs(data.train), validation=pairs(data.validation), test=test, form=form)


def _tables(task: RankingSection, all_of: Gathered) -> tuple[str, dict[str, Split]]:
    """The form, and the splits, of tables in which each row has its texts."""
    names = {name: getattr(task, name) for name in ("query", "document", "label", "positive", "negative")}
    form, found = form_of(columns_of(task.train, "train"), names, task.train)
    columns = list(found.values())
    splits: dict[str, Split] = {}
    for role, parts in read_splits(task, columns[1:], columns[0]).items():
        splits[role] = Split()
        (add_triples if "positive" in found else add_pairs)(parts, found, all_of, splits[role], task.domain)
    return _FORMS[form], splits


def _collections(task: RankingSection, train: Collection, all_of: Gathered) -> dict[str, Split]:
    """The splits of folders with a corpus, queries and judgements. Files beside `train`'s own corpus are not read."""
    drop = task.unusable == "drop"
    sources: Mapping[str, Collection | None] = {
        "train": train, **{role: _collection(task, role) for role in ("test", "validation")}
    }  # fmt: skip
    splits = {}
    for role, one in sources.items():
        source = train if one is None and role == "validation" and task.validation is None else one
        if source is None or (one is None and not source.has(role)):
            continue
        splits[role] = Split()
        source.add(role, all_of, splits[role], drop, task.domain)
    return splits


def _collection(task: RankingSection, role: str) -> Collection | None:
    source = getattr(task, role)
    if not isinstance(source, str) or domain_left_out(source) is not None:
        return None
    found = None if source.startswith("builtin:") else Collection.at(located(source, role), role)
    if found is None:
        allowed = "a folder with a corpus, queries and judgements, as `train` is"
        raise InvalidInput(role, source, allowed)
    return found
