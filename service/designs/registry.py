"""The plan of each kind of job."""

from __future__ import annotations

from service.designs.law import LawPlan
from service.designs.mixture import MixturePlan
from service.designs.plan import Plan
from service.jobspecs.kinds import DesignedSpec
from service.jobspecs.mixture import MixtureSpec


def plan_of(spec: DesignedSpec) -> Plan:
    """The plan that a spec asks for."""
    return MixturePlan(spec) if isinstance(spec, MixtureSpec) else LawPlan(spec)
