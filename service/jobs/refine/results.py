"""The configuration of what a step makes: the method, knobs and hyperparameters of its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search_spaces.presets.lora import largest_rank
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.methods.declaration.expert_counts import halved
from workers.methods.registry import method
from workers.models.description import ModelDescription

Choice = Mapping[str, Any]
Configs = Sequence[Mapping[str, Any]]


def result_config(step: str, choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """The result's configuration, from those of the adapters that the step works on, best first.

    Raises `InvalidInput` where they leave no room for it, with the step's option as the field.
    """
    return RESULTS[step](choice, configs, model)


def _unchanged(_choice: Choice, configs: Configs, _model: ModelDescription) -> dict[str, Any]:
    return dict(configs[0])


def _trained_on(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """The same method and knobs, trained further."""
    name, _, _ = split_config(configs[0])
    own = _knobs(configs[0], model) | {"learning_rate": choice["learning_rate"]}
    return {"method": name, **_hyperparameters(configs[0]), **own}


def _corrected(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """Trained further on pairs of rows, for which β is a hyperparameter."""
    name, _, hyperparameters = split_config(configs[0])
    for field in ("position_scale", "demos"):
        if (found := getattr(hyperparameters, field)) > type(hyperparameters).model_fields[field].default:
            raise InvalidInput("step", f"own_failures behind {name} with {field} {found}", f"adapters without {field}")
    return _trained_on(choice, configs, model) | {"dpo_beta": choice["beta"], "packing": "none"}


def _joint_lora(_choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """A LoRA with room for all updates: the sum of the ranks, where any of them is; its scale is 1."""
    rank = min(sum(_knobs(one, model)["rank"] for one in configs), largest_rank(model.shape))
    return {"method": "lora", **_hyperparameters(configs[0]), **_of_rank(rank), **_covering(configs, model)}


def _masked(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """A masked LoRA of the same rank on all layers, so that all of the base is pruned, or what keeps one beside what
    is retrained."""
    own = _of_rank(_knobs(configs[0], model)["rank"]) | _everywhere(model) | {"pattern": choice["pattern"]}
    own |= {"sparsity": choice["sparsity"]} if choice["pattern"] == "free" else {}
    if choice["retrain"] == "factors":
        return _afresh("masked_lora", choice, configs, own)
    if choice["retrain"].startswith("biases") and not any(linear.bias for _, linear in model.linears()):
        told = "its layers have no biases; allowed: `factors`, `norms` or `head`"
        raise InvalidInput("retrain", choice["retrain"], "`factors`, `norms` or `head`", told)
    kept = {name: value for name, value in own.items() if name not in ("alpha", "targets", "top_layers")}
    return _afresh("pruned", choice, configs, kept | {"retrain": choice["retrain"]})


def _grown(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """A LoRA of a multiple of the rank, in the same places."""
    knobs, most = _knobs(configs[0], model), largest_rank(model.shape)
    rank = choice["times"] * knobs["rank"]
    if rank > most:
        told = f"a rank of {knobs['rank']} grows to {rank}; allowed on this model: up to {most}"
        raise InvalidInput("times", choice["times"], f"at most {most // knobs['rank']}", told)
    return _afresh("lora", choice, configs, knobs | _of_rank(rank) | {"use_rslora": False})


def _whole_numbers(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """Steps and whole numbers for all layers; nothing is trained but what a step after it says."""
    own = {"bits": choice["bits"], "group": choice["group"]} | _everywhere(model)
    return {"method": "e2e_qp", **_hyperparameters(configs[0]), **own}


def _quantised_lora(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    own = {"bits": choice["bits"], "group": choice["group"]} | _everywhere(model)
    return _afresh("l4q", choice, configs, own | _of_rank(_knobs(configs[0], model)["rank"]))


def _side_by_side(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """Room for the factors of all sources, and how their parts are weighed."""
    rank = max(_knobs(one, model)["rank"] for one in configs)
    how = {name: choice[name] for name in ("variant", "gate") if name in choice}
    own = {"sources": len(configs), "rank": rank} | _covering(configs, model) | how
    return _afresh("scalearn" if "variant" in choice else "composed", choice, configs, own)


def _stacked(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    rank = max(_knobs(one, model)["rank"] for one in configs)
    own = {"sources": len(configs), "rank": rank, "own_rank": choice["rank"]} | _covering(configs, model)
    return _afresh("stacked", choice, configs, own)


def _experts(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    own = _of_rank(max(_knobs(one, model)["rank"] for one in configs)) | _covering(configs, model)
    return _afresh("mola", choice, configs, own | {"experts": choice["experts"], "top_k": choice["top_k"]})


def _fewer_experts(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    knobs = _knobs(configs[0], model)
    return _afresh("mola", choice, configs, knobs | {"experts": halved(knobs["experts"])})


def _factorised(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    return _afresh("factorised", choice, configs, {"keep": choice["keep"]} | _everywhere(model))


def _smaller(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """Half of the winner's rank, so that the sparse update has something to say."""
    own = {name: choice[name] for name in ("pruned_heads", "sparsity", "entries")}
    return _afresh("dsee", choice, configs, own | {"rank": max(1, _knobs(configs[0], model)["rank"] // 2)})


def _subspace(choice: Choice, configs: Configs, model: ModelDescription) -> dict[str, Any]:
    own = {name: choice[name] for name in ("dimensions", "projection", "layer_scales")}
    return _afresh("said", choice, configs, own | _everywhere(model))


RESULTS: Mapping[str, Callable[[Choice, Configs, ModelDescription], dict[str, Any]]] = {
    "compress": _unchanged,
    "soup": _joint_lora,
    "merge": _joint_lora,
    "prune_retrain": _masked,
    "grow": _grown,
    "warm_start": _trained_on,
    "own_failures": _corrected,
    "ptq": _whole_numbers,
    "block_ap": _whole_numbers,
    "e2e_qp": _trained_on,
    "l4q": _quantised_lora,
    "pela": _factorised,
    "dsee": _smaller,
    "scalearn": _side_by_side,
    "compose": _side_by_side,
    "stack": _stacked,
    "experts": _experts,
    "prune_experts": _fewer_experts,
    "d90": _subspace,
}


def _of_rank(rank: int) -> dict[str, int]:
    """A rank with the scale 1."""
    return {"rank": rank, "alpha": rank}


def _everywhere(model: ModelDescription) -> dict[str, Any]:
    return {"targets": "all", "top_layers": model.shape.layers}


def _covering(configs: Configs, model: ModelDescription) -> dict[str, Any]:
    """The smallest placement that holds those of all configurations."""
    knobs = [_knobs(config, model) for config in configs]
    wanted = {linear.name for one in knobs for _, linear in model.linears(one["targets"])}
    covering = [group for group in model.shape.targets if wanted <= {linear.name for _, linear in model.linears(group)}]
    targets = min(covering, key=lambda group: len(list(model.linears(group))))
    return {"targets": targets, "top_layers": max(one["top_layers"] for one in knobs)}


def _afresh(name: str, choice: Choice, configs: Configs, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Another method with the hyperparameters of the best source, but the step's own rate."""
    return {"method": name, **_hyperparameters(configs[0]), **knobs, "learning_rate": choice["learning_rate"]}


def _knobs(config: Mapping[str, Any], model: ModelDescription) -> dict[str, Any]:
    name, knobs, _ = split_config(config)
    return method(name).complete(model, knobs)


def _hyperparameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration is no knob of its method: it stays as it is, under names that any method understands."""
    name, knobs, _ = split_config(config)
    plain = {key.removeprefix(f"{name}."): value for key, value in config.items() if key != "method"}
    return {key: value for key, value in plain.items() if key not in knobs}
