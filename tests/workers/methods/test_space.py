"""The `methods` tree and the declarations behind it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from search_spaces.presets.reference import random_entries, reference_configs
from search_spaces.space import Space
from tests.workers.tiny_models import BUILDERS, tiny_base, tiny_description
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.methods.registry import method, methods
from workers.methods.space import methods_space
from workers.models.description import describe


def test_every_sampled_branch_is_complete_and_counts() -> None:
    model = describe("builtin:minilm")
    space = methods_space(model)
    for config in space.sample(150, np.random.default_rng(0)):
        name, knobs, hyperparameters = split_config(config)
        own = method(name).complete(model, knobs)
        rates = method(name).learning_rates
        assert own == knobs
        assert rates.low <= hyperparameters.learning_rate <= rates.high
        assert method(name).trainable_parameters(model, own) >= 0


def test_methods_that_no_size_of_the_model_fits_are_left_out_and_refused_by_name() -> None:
    model = tiny_description("t5")  # heads of 5: sizes have the common divisor 4
    names = methods_space(model).by_name["method"].choices  # type: ignore[union-attr]
    assert "lora" in names
    assert not {"e2e_qp", "l4q"} & set(names)
    with pytest.raises(
        InvalidInput, match=r"e2e_qp on a model of sizes with greatest common divisor 4.*from 8"
    ) as caught:
        methods_space(model, ("lora", "e2e_qp"))
    assert caught.value.field == "method"


def test_tree_survives_json_and_encoding() -> None:
    space = methods_space(describe("builtin:minilm"))
    configs = space.sample(20, np.random.default_rng(1))
    assert Space.from_json(space.to_json()) == space
    assert space.decode(space.encode(configs).values) == configs


def test_constraint_of_one_branch_does_not_bind_another() -> None:
    space = methods_space(describe("builtin:minilm"), ("head", "autopeft"))
    found = {config["method"] for config in space.sample(40, np.random.default_rng(0))}
    assert found == {"head", "autopeft"}
    off = {f"autopeft.{name}": 0 for name in ("serial_size", "parallel_size", "prefix_length")}
    config = next(one for one in space.sample(40, np.random.default_rng(0)) if one["method"] == "autopeft")
    assert not space.contains({**config, **off})


def test_unknown_and_unfit_methods_are_refused() -> None:
    model = describe("builtin:minilm")
    with pytest.raises(InvalidInput, match="lorra"):
        methods_space(model, ("lora", "lorra"))


def test_declarations_say_where_they_come_from() -> None:
    for one in methods().values():
        assert one.summary, one.name
        assert one.source, one.name
        assert one.learning_rates.low < one.learning_rates.mode < one.learning_rates.high, one.name
        assert one.variant_of is None or one.variant_of in methods(), one.name


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; from workers.methods.space import methods_space; from workers.models.description import describe; "
        "methods_space(describe('builtin:minilm')); bad = {'torch', 'peft', 'transformers', 'ray'} & set(sys.modules); "
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", BUILDERS)
def test_the_random_baseline_trains_as_many_parameters_as_the_literatures_lora(kind: str) -> None:
    model = tiny_base(kind).description
    lora = dict(reference_configs(model.shape))["literature-default"]
    name, knobs, _ = split_config(lora)
    count = method(name).trainable_parameters(model, method(name).complete(model, knobs))
    _, entries, _ = split_config(random_entries(model.shape, count)[1])
    apet = method("apet")
    assert apet.trainable_parameters(model, apet.complete(model, entries)) == count
    most = apet.space(describe("builtin:minilm")).by_name["entries"]
    assert random_entries(model.shape, 10**9)[1]["entries"] == most.high  # type: ignore[attr-defined]
