"""Admits a mixture job: its domains, the mixtures it names, and options that do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.errors import BadInput, FieldProblem
from service.jobs.data_paths import locate
from service.jobs.did_you_mean import unknown_name
from service.jobs.mixture.spec import LEAST_MIXTURES, MixtureSpec
from service.jobs.search.spec import ResourcesSpec
from service.settings import Settings
from workers.proxies.corpus import SUFFIXES, training_bytes

SUM_TOLERANCE = 0.02  # tables round their weights
PROXIES_TRAIN: Mapping[str, tuple[object, ...]] = {
    "engine": ("auto",),
    "precision": ("auto", "fp32"),
    "gradient_checkpointing": (False,),
    "threads": (None,),
    "quantise": (None,),
    "shards": (1,),
    "pack": ("auto", 1),
}
"""What of `Execution` proxies are trained with."""
LEAST_BYTES = 2_000  # of a domain: less is no text to learn from


def admit_mixture(spec: MixtureSpec, settings: Settings) -> MixtureSpec:
    """The spec with absolute paths, the size of each domain, and its prior as weights. Raises BadInput."""
    problems = list(_mixture_problems(spec))
    paths: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for domain, value in spec.corpus.domains.items():
        field = f"corpus.domains.{domain}"
        try:
            path = locate(field, value, settings.data_roots)
        except BadInput as error:
            problems += error.errors
            continue
        paths[domain], sizes[domain] = str(path), training_bytes(path)
        if sizes[domain] < LEAST_BYTES:
            allowed = f"at least {LEAST_BYTES} bytes of text in files ending in {', '.join(SUFFIXES)}"
            found = f"{sizes[domain]} bytes"
            problems.append(FieldProblem(field, found, allowed, f"{value!r} holds {found}; needed: {allowed}"))
    if problems:
        raise BadInput.of(problems)
    corpus = spec.corpus.model_copy(update={"domains": paths})
    return spec.model_copy(update={"corpus": corpus, "bytes": sizes, "prior": _prior(spec, sizes)})


def _prior(spec: MixtureSpec, sizes: Mapping[str, int]) -> dict[str, float]:
    shares: Mapping[str, float] = dict.fromkeys(sizes, 1.0)
    if isinstance(spec.prior, dict):
        shares = {domain: spec.prior.get(domain, 0.0) for domain in sizes}
    elif spec.prior == "natural":
        shares = {domain: float(size) for domain, size in sizes.items()}
    total = sum(shares.values())
    return {domain: share / total for domain, share in shares.items()}


def _mixture_problems(spec: MixtureSpec) -> Iterator[FieldProblem]:
    domains = spec.corpus.domains
    for number, domain in enumerate(spec.target):
        if domain not in domains:
            yield unknown_name(f"target.{number}", domain, domains, "domain")
    if isinstance(spec.prior, dict):
        yield from _weight_problems("prior", spec.prior, domains)
    for number, weights in enumerate(spec.mixtures):
        yield from _weight_problems(f"mixtures.{number}", weights, domains)
    if 0 < len(spec.mixtures) < LEAST_MIXTURES:
        allowed = f"at least {LEAST_MIXTURES} mixtures, or none for drawn ones"
        found = len(spec.mixtures)
        yield FieldProblem("mixtures", found, allowed, f"found {found} mixtures; needed: {allowed}")
    if spec.soup is not None and spec.evaluator == "merge_proxy":
        allowed = "no soup with `evaluator: merge_proxy`, which trains no proxy on a mixture"
        yield FieldProblem("soup", spec.soup.kind, allowed, f"soup: {allowed}")
    if spec.resources.executor != "ray":
        allowed = "`ray`: the service trains proxies itself"
        yield FieldProblem("resources.executor", spec.resources.executor, allowed, f"allowed: {allowed}")
    yield from _execution_problems(spec.resources)


def _execution_problems(resources: ResourcesSpec) -> Iterator[FieldProblem]:
    """Settings of how to train that mean something to an adapter on a base alone."""
    for name, value in resources.whole().items():
        if value not in PROXIES_TRAIN[name]:
            allowed = " or ".join("nothing" if one is None else str(one).lower() for one in PROXIES_TRAIN[name])
            why = "proxies are small models, each trained from scratch in a process of its own"
            yield FieldProblem(
                f"resources.{name}", value, allowed, f"resources.{name}: {why}; found {value!r}, allowed: {allowed}"
            )


def _weight_problems(field: str, weights: Mapping[str, float], domains: Mapping[str, str]) -> Iterator[FieldProblem]:
    for domain, weight in weights.items():
        if domain not in domains:
            yield unknown_name(f"{field}.{domain}", domain, domains, "domain")
        elif not 0 <= weight <= 1:
            yield FieldProblem(f"{field}.{domain}", weight, "a share from 0 to 1", f"found {weight}; shares are 0 to 1")
    total = sum(weights.values())
    if not abs(total - 1) <= SUM_TOLERANCE:
        yield FieldProblem(field, total, "weights that sum to one", f"the weights sum to {total:.6g}, not to one")
