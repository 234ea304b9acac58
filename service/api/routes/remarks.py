"""What people say of a trial. That of a job stands with the other changes to jobs."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.body_reading import PlainRoute
from service.api.dependencies import SUBMIT, StoreDep
from service.api.responses import answer
from service.api.views import RemarksRequest, TrialView

router = APIRouter(tags=["trials"], route_class=PlainRoute, dependencies=[SUBMIT])


@router.patch("/trials/{trial_id}", response_model=TrialView)
def remark_trial(trial_id: str, remarks: RemarksRequest, store: StoreDep) -> Response:
    """Change a trial's tags and its note."""
    return answer(TrialView.of(store.remark_trial(trial_id, remarks.said())))
