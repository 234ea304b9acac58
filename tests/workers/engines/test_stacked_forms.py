"""Members of a pack against the same trials alone: every form, every method that has one, stacked and one by one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.workers.engines.packs import (
    Made,
    Tiny,
    assert_alike,
    language_model,
    pairs,
    split,
    tagger,
    train_alone,
    train_together,
)
from tests.workers.methods.test_conformance import CASES
from tests.workers.tiny_models import BUILDERS, CLASSES, VOCABULARY, tiny_base
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.stacked.reading import NotStackable, read_updates
from workers.engines.stacked.way import LOOPED, STACKED, Way
from workers.methods.registry import method
from workers.models.loading import make_base
from workers.tasks.catalogue.text_classification import TASK

CRITERION = TASK.criterion(None, tuple(map(str, range(CLASSES))))
SPLITS = tuple(split(rows, seed, CRITERION, VOCABULARY, CLASSES) for rows, seed in ((60, 0), (20, 1)))
PACKED = [name for name in CASES if method(name).forms is not None]
PADDED = replace(
    STACKED, padding=math.inf, updated_by_rows=False
)  # all members in one pass and one update, as on a GPU
UNPADDED = replace(PADDED, unpadding=0.0)  # always, however little it saves
WAYS = [pytest.param(LOOPED, id="looped"), pytest.param(PADDED, id="stacked")]
EVERY_WAY = [*WAYS, pytest.param(UNPADDED, id="unpadded")]


@pytest.fixture(scope="module")
def bert() -> ResidentBase:
    return ResidentBase.of(tiny_base("bert"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PrefixStore:
    return PrefixStore(tmp_path_factory.mktemp("prefixes"), 1 << 30)


def assert_as_alone(resident: ResidentBase, members: list[Tiny], steps: int, store: PrefixStore, *ways: Way) -> None:
    alone = [train_alone(resident, tiny, SPLITS, steps, store) for tiny in members]
    for way in ways:
        for made, expected in zip(train_together(resident, members, SPLITS, steps, store, way), alone, strict=True):
            assert_alike(made, expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PACKED)
def test_a_method_in_a_pack_trains_as_alone(bert: ResidentBase, store: PrefixStore, name: str, way: Way) -> None:
    own = [Tiny(name, knobs, {"batch_size": 8 - 3 * number}, number) for number, knobs in enumerate(CASES[name])]
    others = [Tiny("lora", {"rank": 2, "targets": "all", "dropout": 0.2}, seed=3), Tiny("head", seed=4)]
    assert_as_alone(bert, [*own, *others], 8, store, way)


def test_what_a_method_says_of_its_forms_is_so(bert: ResidentBase) -> None:
    """All that it trains is read, and in the forms that it names; a method that names none cannot be read."""
    for name in (name for name in CASES if method(name).peft_config is not None or method(name).forms is not None):
        for knobs in CASES[name]:
            attached = Tiny(name, knobs).attach(bert, SPLITS[0], 4)
            try:
                updates = read_updates(attached, bert.base)
            except NotStackable:
                assert method(name).forms is None, name
                continue
            finally:
                attached.detach()
            trained = sum(part.value.numel() for one in updates for part in one.parts.values() if part.name is not None)
            forms = {one.form for one in updates} - {"head"}
            if (declared := method(name).forms) is not None:
                assert trained == method(name).trainable_parameters(
                    bert.base.description, values(bert, name, knobs)
                ) + (bert.base.head_size)
                assert forms <= set(declared), name


def values(resident: ResidentBase, name: str, knobs: dict[str, Any]) -> dict[str, Any]:
    return method(name).complete(resident.base.description, knobs)


def test_the_spaces_of_lora_and_autopeft_pack_wholly(bert: ResidentBase, store: PrefixStore) -> None:
    """Whatever they draw: members of one pack with other targets, layers, ranks, sizes, dropout and magnitudes each."""
    members = []
    for name in ("lora", "autopeft"):
        space = method(name).space(bert.base.description)
        for seed, config in enumerate(space.sample(4, np.random.default_rng(2))):
            knobs = {one.name for one in method(name).knobs(bert.base.description).parameters}
            own = {key: value for key, value in config.items() if key in knobs}
            members.append(Tiny(name, own, {"batch_size": 4 + seed, "learning_rate": 2e-3}, seed))
    assert_as_alone(bert, members, 6, store, PADDED, UNPADDED)


@pytest.mark.long
def test_losses_agree_over_fifty_steps(bert: ResidentBase, store: PrefixStore) -> None:
    members = [
        Tiny("lora", {"rank": 1, "targets": "qv"}, {"label_smoothing": 0.1}, 1),
        Tiny("lora", {"rank": 6, "targets": "all", "dropout": 0.2, "top_layers": 1}, {"gradient_accumulation": 3}, 2),
        Tiny("lora_plus", {"rank": 3, "targets": "mlp"}, {"max_grad_norm": 0.0, "weight_decay": 0.0}, 3),
        Tiny("autopeft", {"serial_size": 6, "parallel_size": 3, "prefix_length": 3}, {"batch_size": 5}, 4),
        Tiny("bitfit", {"targets": "mlp"}, {"learning_rate": 1e-2}, 5),
        Tiny("dora", {"rank": 2, "targets": "all"}, {"batch_size": 3}, 6),
        Tiny("pissa", {"rank": 2}, {"gradient_accumulation": 2}, 7),
        Tiny("difffit", {}, {"batch_size": 6}, 8),
        Tiny("ssf", {}, {"batch_size": 7}, 9),
        Tiny("head", {}, {"learning_rate": 1e-2}, 10),
    ]
    assert_as_alone(bert, members, 50, store, LOOPED, PADDED, UNPADDED)


@pytest.mark.parametrize("way", EVERY_WAY)
def test_pairs_of_which_one_is_preferred(store: PrefixStore, way: Way) -> None:
    """Two rows make one loss; the base's own view of them is beside them."""
    resident, splits = pairs(store)
    members = [
        Tiny("lora", {"rank": 4, "targets": "all"}, {"batch_size": 3, "dpo_beta": 0.5}, 1),
        Tiny("mam", {"size": 6, "prefix_length": 3}, {"batch_size": 2, "gradient_accumulation": 2}, 2),
    ]
    for tiny, made in zip(members, train_together(resident, members, splits, 12, store, way), strict=True):
        assert_alike(made, train_alone(resident, tiny, splits, 12, store))


@pytest.mark.parametrize("way", WAYS)
def test_ranks_from_1_to_64_share_a_pack(store: PrefixStore, way: Way) -> None:
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=256, num_hidden_layers=2, num_attention_heads=4, num_labels=CLASSES,
        intermediate_size=80, max_position_embeddings=64, initializer_range=0.05,
    )  # fmt: skip
    torch.manual_seed(0)
    resident = ResidentBase.of(make_base(transformers.BertForSequenceClassification(config), folder="wide"))
    members = [Tiny("rslora", {"rank": rank, "targets": "qv"}, {}, rank) for rank in (1, 5, 16, 64)]
    assert_as_alone(resident, members, 8, store, way)


@pytest.mark.parametrize("way", EVERY_WAY)
def test_who_ends_or_turns_nan_changes_nothing_for_the_others(bert: ResidentBase, store: PrefixStore, way: Way) -> None:
    members = [
        Tiny("lora", {"rank": 6, "targets": "all"}, {}, 1),
        Tiny("ia3", {}, {"learning_rate": 1e30, "max_grad_norm": 0.0}, 2),
        Tiny("adapter_parallel", {"size": 6, "scale": "learned"}, {}, 3),
        Tiny("head", {}, {}, 4),
    ]
    steps = [4, 12, 12, 7]
    together = train_together(bert, members, SPLITS, steps, store, way)
    broken = together.pop(1)
    assert isinstance(broken, Made)
    assert not np.isfinite(broken.losses[-1])
    for tiny, count, made in zip([members[0], *members[2:]], [4, 12, 7], together, strict=True):
        assert_alike(made, train_alone(bert, tiny, SPLITS, count, store))


FAMILY_MEMBERS = (
    Tiny("lora", {"rank": 4, "targets": "all", "dropout": 0.1}, {"batch_size": 8}, 1),
    Tiny("dora", {"rank": 2, "top_layers": 1}, {"batch_size": 8}, 2),
    Tiny("ia3", {}, {"batch_size": 6}, 3),
    Tiny("ln_tuning", {}, {"batch_size": 8}, 4),
    Tiny("bitfit", {}, {"batch_size": 8}, 5),
    Tiny("mam", {"size": 6, "prefix_length": 3}, {"batch_size": 8}, 6),
    Tiny("adapter_houlsby", {"size": 3}, {"batch_size": 8}, 7),
)


ALONE = {"albert", "deberta-v2"}
"""Classes whose trials train alone: layers that share their weights, or attention that projects positions."""


@pytest.mark.parametrize("kind", sorted(set(BUILDERS) - ALONE))
def test_every_class_of_model_takes_every_form_that_it_knows(kind: str, store: PrefixStore) -> None:
    resident = ResidentBase.of(tiny_base(kind))
    members = [one for one in FAMILY_MEMBERS if method(one.method).supports(resident.base.description)]
    assert_as_alone(resident, members, 4, store, PADDED, UNPADDED)


def test_dropout_by_counters_is_a_members_own_whoever_trains_beside_it(bert: ResidentBase, store: PrefixStore) -> None:
    """As on a GPU: not the masks that it would draw alone, but the same ones in any company."""
    way = Way(False, float("inf"), 4096, host_streams=False)
    mine = Tiny("lora", {"rank": 4, "targets": "all", "dropout": 0.3}, {"gradient_accumulation": 2}, 5)
    others = [Tiny("head", seed=1), Tiny("lora", {"rank": 2, "dropout": 0.1}, {"batch_size": 5}, 2)]
    (first,) = train_together(bert, [mine], SPLITS, 10, store, way)
    *_, second = train_together(bert, [*others, mine], SPLITS, 10, store, way)
    assert isinstance(first, Made)
    assert_alike(second, first)
    undropped = train_alone(bert, Tiny("lora", {"rank": 4, "targets": "all"}, mine.training, 5), SPLITS, 10, store)
    assert not np.allclose(first.losses, undropped.losses, rtol=1e-3)


@pytest.mark.parametrize("way", EVERY_WAY)
def test_language_models(store: PrefixStore, way: Way) -> None:
    """Scores of wanted tokens in place of logits, a head that nobody trains, members that smooth differently."""
    resident, splits = language_model()
    members = [
        Tiny("lora", {"rank": 4, "targets": "all"}, {"label_smoothing": 0.1}, 1),
        Tiny("ia3", {}, {"batch_size": 5}, 2),
        Tiny("mam", {"size": 6, "prefix_length": 3}, {"gradient_accumulation": 2}, 3),
    ]
    together = train_together(resident, members, splits, 8, store, way)
    for tiny, made in zip(members, together, strict=True):
        assert_alike(made, train_alone(resident, tiny, splits, 8, store))


@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_task_with_a_target_for_every_token(store: PrefixStore, way: Way) -> None:
    resident, splits = tagger()
    members = [FAMILY_MEMBERS[0], FAMILY_MEMBERS[5], Tiny("head", {}, {"batch_size": 5}, 8)]
    together = train_together(resident, members, splits, 8, store, way)
    for tiny, made in zip(members, together, strict=True):
        assert_alike(made, train_alone(resident, tiny, splits, 8, store))
