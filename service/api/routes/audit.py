"""Who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.api.dependencies import ADMIN, PagingDep, StoreDep
from service.api.responses import answer
from service.api.token_views import AuditView
from service.api.views import PageView

router = APIRouter(prefix="/audit", tags=["tokens"], dependencies=[ADMIN])
Wanted = Annotated[str | None, Query(max_length=200)]


@router.get("", response_model=PageView[AuditView])
def audit_trail(store: StoreDep, paging: PagingDep, token_name: Wanted = None, target: Wanted = None) -> Response:
    """What was changed or refused for want of a scope, and by whom, newest first: by all tokens or by those of a name
    (or id), to everything or to what `target` (the id of a job, trial or token) is part of the path of."""
    page = store.audit_trail(paging.cursor, paging.limit, token_name, target)
    return answer(
        PageView[AuditView](items=[AuditView.of(entry) for entry in page.items], next_cursor=page.next_cursor)
    )
