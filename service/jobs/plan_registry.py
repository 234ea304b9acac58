"""The plan of each kind of job."""

from __future__ import annotations

from service.jobs.kinds import DesignedSpec
from service.jobs.law.plan import LawPlan
from service.jobs.mixture.plan import MixturePlan
from service.jobs.mixture.spec import MixtureSpec
from service.jobs.plan import Plan
from service.jobs.refine.plan import RefinePlan
from service.jobs.refine.spec import RefineSpec


def plan_of(spec: DesignedSpec) -> Plan:
    """The plan that a spec asks for."""
    if isinstance(spec, RefineSpec):
        return RefinePlan(spec)
    return MixturePlan(spec) if isinstance(spec, MixtureSpec) else LawPlan(spec)
