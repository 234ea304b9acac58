"""What every registered method must do, on a tiny encoder and a tiny decoder. A new method adds one row to `CASES`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.workers.tiny_models import CLASSES, LABELS, LAYERS, VOCABULARY, batch, tiny_base, tiny_description
from workers.data.pydocs import CLASSES as CLASS_NAMES
from workers.data.pydocs import read_pydocs
from workers.errors import InvalidInput
from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.method import Method
from workers.methods.declaration.needs import IMAGES
from workers.methods.own_adapter import OwnAdapter
from workers.methods.registry import method, methods
from workers.models.loading import Base, load_base, load_tokenizer

# Knobs to try for each method; what is left out takes its default.
CASES: dict[str, list[dict[str, Any]]] = {
    "adapter_houlsby": [{"size": 6}, {"size": 3, "top_layers": 1}],
    "adapter_parallel": [
        {"size": 6},
        {"size": 3, "scale": "learned", "activation": "tanh", "beside": "both", "top_layers": 1},
        {"size": 3, "beside": "attention", "activation": "none"},
    ],
    "adapter_pfeiffer": [{"size": 6}, {"size": 3, "top_layers": 1}],
    "adapter_shared": [{"size": 6}, {"size": 3, "activation": "gelu", "top_layers": 1}],
    "adalora": [{"rank": 3, "extra_rank": 2}, {"targets": "mlp", "top_layers": 1}],
    "apet": [{"entries": 90}, {"place": "layer", "top_layers": 1}, {"place": "gradient", "targets": "mlp"}],
    "autopeft": [{"serial_size": 6, "parallel_size": 3, "prefix_length": 3}, {"layer_0": False, "prefix_length": 0}],
    "bdlora": [{"rank": 4}, {"rank": 6, "blocks": 3, "targets": "mlp", "top_layers": 1}],
    "beft": [{}, {"top_layers": 1}],
    "boft": [{"block_size": 4}, {"block_size": 2, "targets": "mlp", "top_layers": 1}],
    "bitfit": [{}, {"targets": "mlp", "top_layers": 1}],
    "bone": [{"rank": 4}, {"rank": 6, "targets": "all", "top_layers": 1}],
    "c3a": [{"block_size": 12}, {"block_size": 4, "targets": "mlp", "top_layers": 1}],
    "compacter": [{"size": 8, "order": 4}, {"size": 12, "order": 2, "top_layers": 1}],
    "colora": [{"rank": 3, "samples": 32}, {"least_rank": 0, "samples": 32, "targets": "mlp", "top_layers": 1}],
    "conpet": [{"rank": 2}, {"rank": 3, "top_k": 2, "targets": "mlp", "top_layers": 1}],
    "corda": [{"rank": 3, "samples": 16}, {"variant": "kpm", "samples": 32, "targets": "mlp", "top_layers": 1}],
    "das": [{"size": 6}, {"size": 3, "skipped": 1, "search_share": 0.3}],
    "deft": [{"rank": 3}, {"decomposition": "qr", "targets": "all", "top_layers": 1}],
    "delora": [{"rank": 3}, {"bound": 30.0, "targets": "mlp", "top_layers": 1}],
    "difffit": [{}, {"scaled": "mlp", "norms": False, "top_layers": 1}],
    "cpt": [{"length": 20}, {"length": 12, "decay": 0.5, "epsilon": 0.5}],
    "dept": [{"length": 3, "rank": 2, "positions": 32}],
    "dora": [{"rank": 3}, {"targets": "all", "top_layers": 1}],
    "dylora": [{"rank": 4}, {"rank": 3, "targets": "mlp", "top_layers": 1}],
    "e2e_qp": [{"group": 8}, {"bits": 3, "group": 12, "targets": "mlp", "top_layers": 1}],
    "eva": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "fourierft": [{"coefficients": 20}, {"targets": "mlp", "top_layers": 1}],
    "full_ft": [{}, {"top_layers": 1}],
    "glora": [{"weights": "lora"}, {"weights": "vector", "biases": "vector", "targets": "all", "top_layers": 1}],
    "gralora": [{"grid": 2}, {"grid": 4, "targets": "mlp", "top_layers": 1}],
    "half_ft": [{}, {"fraction": 0.2, "draw": 3, "top_layers": 1}],
    "hashed_lora": [{"rank": 3, "compression": 5.0}, {"compression": 1.0, "targets": "mlp", "top_layers": 1}],
    "head": [{}],
    "hira": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "hra": [{"rank": 2}, {"rank": 4, "targets": "mlp", "top_layers": 1}],
    "iaa": [
        {"inside": "adapter", "size": 4, "width": 4},
        {"inside": "lora", "size": 4, "width": 8, "top_layers": 1},
        {"inside": "beside", "size": 8, "width": 4},
    ],
    "ia3": [{}, {"scaled": "mlp", "top_layers": 1}, {"scaled": "attention"}],
    "increlora": [{"rank": 3, "growths": 4}, {"growing_share": 0.25, "targets": "mlp", "top_layers": 1}],
    "kasa": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "l4q": [{"rank": 3, "group": 8}, {"bits": 8, "group": 24, "targets": "mlp", "top_layers": 1}],
    "light_peft": [
        {"rank": 4, "samples": 64},
        {"pruned_heads": 0.0, "pruned_units": 0.6, "layers_kept": 1.0, "samples": 64},
    ],
    "llama_adapter": [{"length": 3}, {"length": 2, "top_layers": 1}],
    "ln_tuning": [{}, {"top_layers": 1}],
    "loldu": [{"rank": 4}, {"rank": 8, "targets": "mlp", "top_layers": 1}],
    "loha": [{"rank": 2}, {"targets": "mlp", "top_layers": 1}],
    "lokr": [{"rank": 2}, {"rank": 1, "decompose_both": True, "targets": "mlp", "top_layers": 1}],
    "lora": [
        {"rank": 3},
        {"targets": "mlp", "use_dora": True, "top_layers": 1},
        {"targets": "all", "use_rslora": True},
    ],
    "lorat": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "lora_bias": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "lora_ga": [{"rank": 3, "samples": 16}, {"gamma": 16, "samples": 32, "targets": "mlp", "top_layers": 1}],
    "lora_fa": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "lora_orthogonal": [{"rank": 4}, {"rank": 2, "targets": "mlp", "top_layers": 1}],
    "lora_ranks": [{"rank_0": 2, "rank_1": 4, "same_scale": True}, {"rank_0": 0, "rank_1": 2, "targets": "mlp"}],
    "lora_plus": [{"rank": 3}, {"rate_ratio": 4.0, "targets": "mlp", "top_layers": 1}],
    "lst": [{"reduction": 4}, {"reduction": 2, "blocks": 1}],
    "mam": [
        {"size": 6, "prefix_length": 3},
        {"size": 3, "scale": "learned", "activation": "gelu", "prefix_length": 2, "top_layers": 1},
    ],
    "masked_lora": [{"rank": 3}, {"pattern": "2:4", "targets": "mlp", "top_layers": 1}],
    "mica": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "miss": [{"rank": 4}, {"rank": 2, "targets": "all", "top_layers": 1}],
    "mola": [
        {"rank": 2},
        {"router": "gru", "router_size": 8, "rank": 2},
        {"experts": "2-4-6-8", "top_k": 1, "targets": "mlp", "top_layers": 1},
    ],
    "mos": [{"rank": 6, "shards": 4}, {"pool": 1, "private": 2, "shards": 2, "targets": "mlp", "top_layers": 1}],
    "mtlora": [{"rank": 2}, {"rank": 0, "sharing": "half", "targets": "mlp", "top_layers": 1}],
    "nola": [{"rank": 2, "bases": 8}, {"bases": 16, "targets": "mlp", "top_layers": 1}],
    "oft": [{"block_size": 4}, {"block_share": True, "targets": "mlp", "top_layers": 1}],
    "olora": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "p_tuning": [{"length": 3, "encoder_size": 32}],
    "para": [{"rank": 2}, {"targets": "mlp", "top_layers": 1}],
    "peanut": [{"rank": 3}, {"depth": 2, "targets": "mlp", "top_layers": 1}],
    "pego": [{"rank": 2}, {"groups": 1, "targets": "mlp", "top_layers": 1}],
    "pissa": [{"rank": 3}, {"targets": "mlp", "top_layers": 1}],
    "polyhistor": [{"embedding": 8}, {"inner_rank": 1, "kernel": 2, "targets": "mlp", "top_layers": 1}],
    "prefix_tuning": [{"length": 3}, {"length": 2, "projection": True, "encoder_size": 6}],
    "prompt_tuning": [{"length": 3}],
    "pst": [{"rank": 2}, {"rank": 2, "sparsity": 0.3, "targets": "mlp", "top_layers": 1}],
    "psoft": [{"rank": 4}, {"rank": 3, "magnitudes": False, "targets": "mlp", "top_layers": 1}],
    "randlora": [{"rank": 5}, {"sparse": True, "targets": "mlp", "top_layers": 1}],
    "road": [{"variant": "road_1", "group_size": 4}, {"variant": "road_4", "group_size": 2, "targets": "mlp"}],
    "role_adapters": [{"where_rank": 2, "what_rank": 4, "features_rank": 1}, {"features_rank": 0, "top_layers": 1}],
    "rslora": [{"rank": 3}, {"targets": "all", "top_layers": 1}],
    "said": [
        {"dimensions": 50},
        {"dimensions": 20, "targets": "mlp", "top_layers": 1, "layer_scales": False},
        {"dimensions": 30, "projection": "fastfood", "targets": "all"},
    ],
    "sft": [{"density": 0.05, "interval": 5}, {"growth": "sm3", "interval": 5, "targets": "mlp", "top_layers": 1}],
    "sherl": [{"reduction": 4}, {"reduction": 4, "late_layers": 0, "anti_redundancy": 0.5}],
    "ssf": [{"targets": "all"}, {"targets": "mlp", "top_layers": 1}],
    "supertuning": [{"density": 0.05}, {"select": "smallest", "targets": "mlp", "top_layers": 1}],
    "svfit": [{"rank": 8}, {"rank": 4, "targets": "mlp", "top_layers": 1}],
    "tinylora": [{"length": 16}, {"rank": 3, "length": 5, "targets": "mlp", "top_layers": 1}],
    "triadaptlora": [{"rank": 4}, {"threshold": "cosine", "targets": "mlp", "top_layers": 1}],
    "unilora": [{"length": 50}, {"length": 30, "targets": "mlp", "top_layers": 1}],
    "unipt": [{"reduction": 4}],
    "vblora": [{"vectors": 16, "vector_length": 8}, {"vectors": 16, "vector_length": 12, "targets": "mlp"}],
    "velora": [{"rank": 3}, {"groups": 12, "targets": "mlp", "top_layers": 1}],
    "vera": [{"rank": 16}, {"rank": 32, "targets": "mlp", "top_layers": 1}],
    "waveft": [{"coefficients": 20}, {"targets": "mlp", "top_layers": 1}],
}
DECODERS = ("gpt2", "llama")
# Adapters of tasks that are learnt in turn read rows that tell their task: test_conpet.py trains them on both engines.
IN_TURN = frozenset(name for name in CASES if method(name).tasks == ("continual",))
OF_ENCODERS = [name for name in CASES if method(name).supports(tiny_description("bert")) and name not in IN_TURN]
# Methods for some types of task are held to it by tests of their own, and by those of these types.
SUITED = [name for name in CASES if not method(name).tasks]


def _decoder(name: str) -> str | None:
    """The first of `DECODERS` that a method works on; None for methods of encoders."""
    return next((kind for kind in DECODERS if method(name).supports(tiny_description(kind))), None)


def _rows(names: Iterable[str]) -> list[Any]:
    return [
        pytest.param(name, knobs, id=f"{name}-{number}") for name in names for number, knobs in enumerate(CASES[name])
    ]


ROWS = _rows(SUITED)
MERGEABLE_ROWS = _rows(name for name in SUITED if method(name).mergeable)
DECODER_ROWS = [pytest.param(name, kind, CASES[name][0], id=name) for name in SUITED if (kind := _decoder(name))]
STEPS = 4


@pytest.fixture(scope="module")
def bases() -> dict[str, Base]:
    return {kind: tiny_base(kind) for kind in ("bert", "modernbert", "gpt2", "llama")}


@pytest.fixture
def base(bases: dict[str, Base]) -> Base:
    return bases["bert"]


def attach(base: Base, name: str, knobs: dict[str, Any], seed: int = 7) -> tuple[Attached, dict[str, Any]]:
    one = method(name)
    values = one.complete(base.description, knobs)
    return one.attach(base, values, seed, TrainingSetup(STEPS, batches, cross_entropy)), values


def batches(size: int) -> Iterator[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        ids = torch.randint(3, VOCABULARY, (size, 9), generator=generator)
        labels = torch.randint(0, CLASSES, (size,), generator=generator)
        yield {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def logits(model: torch.nn.Module, **inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(**(inputs or batch())).logits


def train(attached: Attached, rate: float, steps: int = STEPS, without: Iterable[str] = ()) -> list[float]:
    """Losses before each step, modules `without` held as they are; the adapter is left in evaluation mode."""
    attached.set_training(True)
    trained = [value for name, value in attached.parameters().items() if not set(name.split(".")) & set(without)]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.0)
    losses = []
    for step in range(1, steps + 1):
        loss = torch.nn.functional.cross_entropy(attached.model(**batch()).logits, LABELS)
        extra = attached.auxiliary_loss()
        (loss if extra is None else loss + extra).backward()
        optimizer.step()
        attached.after_step(step)
        optimizer.zero_grad()
        losses.append(loss.item())
    attached.set_training(False)
    return losses


def test_every_method_has_a_row() -> None:
    of_images = {name for name, one in methods().items() if IMAGES in one.needs}  # held to it by tests of their own
    assert set(CASES) | of_images == set(methods())


@pytest.mark.parametrize(("name", "knobs"), ROWS)
def test_trained_parameters_equal_the_formula(base: Base, name: str, knobs: dict[str, Any]) -> None:
    attached, values = attach(base, name, knobs)
    found = sum(value.numel() for value in attached.parameters().values()) - base.head_size
    attached.detach()
    assert found == method(name).trainable_parameters(base.description, values)


@pytest.mark.parametrize(("name", "kind", "knobs"), DECODER_ROWS)
def test_decoders_count_the_same_way(bases: dict[str, Base], name: str, kind: str, knobs: dict[str, Any]) -> None:
    decoder = bases[kind]
    attached, values = attach(decoder, name, knobs)
    found = sum(value.numel() for value in attached.parameters().values()) - decoder.head_size
    attached.detach()
    assert found == method(name).trainable_parameters(decoder.description, values)


@pytest.mark.parametrize(("name", "knobs"), ROWS)
def test_start_is_as_promised(base: Base, name: str, knobs: dict[str, Any]) -> None:
    base.initialise_head(7)
    before = logits(base.model)
    attached, _ = attach(base, name, knobs)
    attached.set_training(False)
    after = logits(attached.model)
    attached.detach()
    if method(name).unchanged_at_start:
        torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    assert torch.isfinite(after).all()


@pytest.mark.parametrize(("name", "knobs"), ROWS)
def test_exactly_the_intended_tensors_change(base: Base, name: str, knobs: dict[str, Any]) -> None:
    original = {key: value.clone() for key, value in base.model.state_dict().items()}
    attached, _ = attach(base, name, knobs)
    trained = attached.parameters()
    untouched = {
        key: value.detach().clone()
        for key, value in attached.model.named_parameters()
        if not any(value is one for one in trained.values())
    }
    start = {key: value.detach().clone() for key, value in trained.items()}
    train(attached, method(name).learning_rates.mode)
    still = [key for key, value in trained.items() if torch.equal(value, start[key])]
    moved = [key for key, value in untouched.items() if not torch.equal(value, attached.model.get_parameter(key))]
    attached.detach()
    body = {key: value for key, value in base.model.state_dict().items() if not key.startswith(base.head)}
    assert not still
    assert not moved
    assert list(base.model.state_dict()) == list(original)
    assert all(torch.equal(value, original[key]) for key, value in body.items())
    assert not any(value.requires_grad for value in base.model.parameters())


@pytest.mark.parametrize(("name", "knobs"), ROWS)
def test_layers_below_the_lowest_are_untouched(base: Base, name: str, knobs: dict[str, Any]) -> None:
    """The input of layer `lowest_layer` is that of the frozen base, after training too."""
    attached, _ = attach(base, name, knobs)
    lowest = attached.lowest_layer
    train(attached, 0.05)
    with torch.no_grad():
        adapted = attached.model(**batch(), output_hidden_states=True).hidden_states
    attached.detach()
    with torch.no_grad():
        plain = base.model(**batch(), output_hidden_states=True).hidden_states
    assert 0 <= lowest <= LAYERS
    if lowest > 0:
        torch.testing.assert_close(adapted[lowest], plain[lowest], atol=0, rtol=0)


@pytest.mark.parametrize(("name", "knobs"), ROWS)
def test_padding_does_not_matter(base: Base, name: str, knobs: dict[str, Any]) -> None:
    attached, _ = attach(base, name, knobs)
    train(attached, method(name).learning_rates.mode)
    rows = batch()
    short = {key: value[:1, :6] for key, value in rows.items()}
    padded, alone = logits(attached.model)[:1], logits(attached.model, **short)
    attached.detach()
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["adalora", "dylora", "increlora", "lora", "pst", "sft", "triadaptlora"])
def test_resumed_training_goes_on_as_if_never_stopped(base: Base, name: str) -> None:
    """Parameters, optimizer state and `extra_state` are all that a checkpoint needs."""
    attached, knobs = attach(base, name, {"interval": 5} if name == "sft" else {"rank": 3})
    setup = TrainingSetup(12, batches, cross_entropy)
    attached.detach()

    def run(attached: Attached, optimizer: torch.optim.Optimizer, first: int, last: int) -> list[float]:
        losses = []
        for step in range(first, last + 1):
            loss = torch.nn.functional.cross_entropy(attached.model(**batch()).logits, LABELS)
            loss.backward()
            optimizer.step()
            attached.after_step(step)
            optimizer.zero_grad()
            losses.append(loss.item())
        return losses

    whole = method(name).attach(base, knobs, 7, setup)
    optimizer = torch.optim.AdamW(whole.parameters().values(), lr=0.02)
    run(whole, optimizer, 1, 5)
    kept = {key: value.detach().clone() for key, value in whole.parameters().items()}
    extra = {key: value.clone() for key, value in whole.extra_state().items()}
    moments = copy.deepcopy(optimizer.state_dict())
    expected = run(whole, optimizer, 6, 12)
    whole.detach()

    resumed = method(name).attach(base, knobs, 7, setup)
    with torch.no_grad():
        for key, value in resumed.parameters().items():
            value.copy_(kept[key])
    resumed.load_extra_state(extra)
    optimizer = torch.optim.AdamW(resumed.parameters().values(), lr=0.02)
    optimizer.load_state_dict(moments)
    found = run(resumed, optimizer, 6, 12)
    resumed.detach()
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("name", "knobs"), ROWS)
def test_loss_falls(base: Base, name: str, knobs: dict[str, Any]) -> None:
    """By the adapter's doing: the head, which alone would do it, is held at its random start."""
    attached, _ = attach(base, name, knobs)
    held = () if name == "head" else base.head
    losses = train(attached, method(name).learning_rates.mode, steps=12, without=held)
    attached.detach()
    assert min(losses[-3:]) < losses[0]


@pytest.mark.parametrize(("name", "kind", "knobs"), DECODER_ROWS)
def test_decoders_train(bases: dict[str, Base], name: str, kind: str, knobs: dict[str, Any]) -> None:
    decoder = bases[kind]
    attached, _ = attach(decoder, name, knobs)
    held = () if name == "head" else decoder.head
    losses = train(attached, method(name).learning_rates.mode, steps=12, without=held)
    rows = batch()
    short = {key: value[:1, :6] for key, value in rows.items()}
    padded, alone = logits(attached.model)[:1], logits(attached.model, **short)
    attached.detach()
    assert min(losses[-3:]) < losses[0]
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "knobs"), MERGEABLE_ROWS)
def test_merged_equals_unmerged(base: Base, name: str, knobs: dict[str, Any]) -> None:
    attached, _ = attach(base, name, knobs)
    train(attached, method(name).learning_rates.mode)
    unmerged = logits(attached.model)
    if isinstance(attached, OwnAdapter):
        attached.merge()
        merged = logits(attached.model)
    else:
        model = copy.deepcopy(attached.model)
        model.merge_adapter()
        merged = logits(model)
    attached.detach()
    torch.testing.assert_close(merged, unmerged, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def real() -> tuple[Base, dict[str, torch.Tensor], torch.Tensor]:
    """The pretrained encoder with eight real docstrings of all classes."""
    texts = read_pydocs("validation")
    rows = range(0, 600, 75)
    tokenizer = load_tokenizer("builtin:minilm")
    chosen = [texts["text"][row] for row in rows]
    inputs = tokenizer(chosen, padding=True, truncation=True, max_length=12, return_tensors="pt")
    labels = torch.tensor([CLASS_NAMES.index(texts["label"][row]) for row in rows])
    return load_base("builtin:minilm", labels=len(CLASS_NAMES)), dict(inputs), labels


@pytest.mark.parametrize("name", [name for name in SUITED if name != "head"])
def test_adapter_alone_learns_real_text(real: Any, name: str) -> None:
    """On the pretrained encoder the loss falls although the head is held at its random start."""
    base, inputs, labels = real
    one = method(name)
    knobs = one.complete(base.description, {"top_layers": 2} if _has_knob(one, base, "top_layers") else {})
    rows = {**inputs, "labels": labels}
    attached = one.attach(base, knobs, 3, TrainingSetup(STEPS, lambda _size: iter([rows] * 8), cross_entropy))
    attached.set_training(False)
    adapter = [value for key, value in attached.parameters().items() if "classifier" not in key]
    optimizer = torch.optim.AdamW(adapter, lr=one.learning_rates.mode, weight_decay=0.0)
    losses = []
    for step in range(1, STEPS + 1):
        loss = torch.nn.functional.cross_entropy(attached.model(**inputs).logits, labels)
        loss.backward()
        optimizer.step()
        attached.after_step(step)
        optimizer.zero_grad()
        losses.append(loss.item())
    attached.detach()
    assert min(losses[1:]) < losses[0]


def _has_knob(one: Method, base: Base, knob: str) -> bool:
    return any(parameter.name == knob for parameter in one.knobs(base.description).parameters)


@pytest.mark.parametrize("name", SUITED)
def test_sampled_configurations_never_fail(bases: dict[str, Base], name: str) -> None:
    """What the space admits can be attached: divisibility and the like are constraints, never failed trials."""
    for kind in ("bert", "modernbert", "llama"):
        model = bases[kind]
        one = method(name)
        if not one.supports(model.description):
            with pytest.raises(InvalidInput, match=kind):
                one.space(model.description)
            continue
        for config in one.space(model.description).sample(4, np.random.default_rng(0)):
            own = one.knobs(model.description)
            knobs = {p.name: config[p.name] for p in own.parameters if p.name in config}
            one.attach(
                model, one.complete(model.description, knobs), 0, TrainingSetup(STEPS, batches, cross_entropy)
            ).detach()


def test_unknown_and_impossible_knobs_are_refused(base: Base) -> None:
    with pytest.raises(InvalidInput, match="no such parameter"):
        method("lora").complete(base.description, {"rnak": 3})
    with pytest.raises(InvalidInput, match=r"block_size.*5"):
        method("oft").complete(base.description, {"block_size": 5})
    with pytest.raises(InvalidInput, match="at least 1"):
        method("autopeft").complete(base.description, {"serial_size": 0, "parallel_size": 0, "prefix_length": 0})
    with pytest.raises(InvalidInput, match="no knobs"):
        method("head").complete(base.description, {"rank": 1})
