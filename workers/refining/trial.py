"""One trial of a refine job from assignment to outcome. Faults become a failed outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workers.assignment import Outcome
from workers.engines.course import EndedEarly, OnReport
from workers.engines.faults import failure_reason
from workers.refining.scene import Scene
from workers.refining.spec import RefineAssignment
from workers.refining.steps.block_ap import block_ap
from workers.refining.steps.compress import compress
from workers.refining.steps.dsee import dsee
from workers.refining.steps.e2e_qp import e2e_qp
from workers.refining.steps.grow import grow
from workers.refining.steps.l4q import l4q
from workers.refining.steps.measure import measure
from workers.refining.steps.merge import merge
from workers.refining.steps.own_failures import own_failures
from workers.refining.steps.pela import pela
from workers.refining.steps.prune_experts import prune_experts
from workers.refining.steps.prune_retrain import prune_retrain
from workers.refining.steps.ptq import ptq
from workers.refining.steps.soup import soup
from workers.refining.steps.together import experts, put_together, stack
from workers.refining.steps.warm_start import warm_start
from workers.running.outcome import failed
from workers.running.preparing import prepare
from workers.running.workbench import Workbench

STEPS: Mapping[str, Callable[[Scene], Outcome]] = {
    "measure": measure,
    "compress": compress,
    "soup": soup,
    "merge": merge,
    "prune_retrain": prune_retrain,
    "scalearn": put_together,
    "compose": put_together,
    "stack": stack,
    "experts": experts,
    "prune_experts": prune_experts,
    "pela": pela,
    "dsee": dsee,
    "grow": grow,
    "warm_start": warm_start,
    "own_failures": own_failures,
    "ptq": ptq,
    "block_ap": block_ap,
    "e2e_qp": e2e_qp,
    "l4q": l4q,
}


def refine(assignment: RefineAssignment, workbench: Workbench, on_report: OnReport) -> Outcome:
    """Do what the assignment's step asks. A fault of the trial is not raised: the outcome is `failed` with a reason."""
    try:
        scene = Scene(assignment, prepare(assignment, workbench), workbench, on_report)
        return STEPS[assignment.step](scene)
    except EndedEarly as error:
        return failed(assignment, str(error), workbench, error.ending.status)
    except Exception as error:  # whatever an adapter can provoke must end this trial and no other
        return failed(assignment, failure_reason(error), workbench)
