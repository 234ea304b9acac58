"""Webhooks: whom to tell that a job has ended or its front has changed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.api.body_reading import PlainRoute
from service.api.dependencies import READ, SUBMIT, Caller, CallerDep, PagingDep, SettingsDep, StoreDep
from service.api.responses import answer
from service.api.views import ItemsView, PageView
from service.api.webhook_views import DeliveryView, NewWebhookView, WebhookRequest, WebhookView
from service.errors import BadInput, Forbidden, NotFound
from service.store.records import Webhook
from service.store.store import Store
from workers.errors import InvalidInput
from workers.outbound.addresses import Allowed

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=PlainRoute)


@router.get("", response_model=ItemsView[WebhookView], dependencies=[READ])
def list_webhooks(
    store: StoreDep, caller: CallerDep, job_id: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """The webhooks of the token's project (of all, for operators), without their secrets; those of one job."""
    found = store.list_webhooks(caller.sees, job_id)
    return answer(ItemsView[WebhookView](items=[WebhookView.of(webhook) for webhook in found]))


@router.post(
    "",
    response_model=NewWebhookView,
    status_code=201,
    dependencies=[SUBMIT],
    responses={404: {"description": "there is no such job, or not in the token's project"}},
)
def create_webhook(body: WebhookRequest, store: StoreDep, settings: SettingsDep, caller: CallerDep) -> Response:
    """Tell an address of what happens from now on: in one job, or (for operators) in a project or everywhere. The
    secret that signs the messages is in this answer and nowhere else."""
    if body.job_id is None and caller.sees is not None:
        raise Forbidden("without `job_id` this needs a token with the scope `admin`")
    if body.job_id is not None and caller.sees not in (None, store.project_of(body.job_id)):
        raise NotFound("job", body.job_id)
    try:
        Allowed(settings.webhooks).check(body.url)
    except InvalidInput as error:
        raise BadInput(error.field, error.found, error.allowed, error.message) from None
    secret, made = store.create_webhook(body.url, body.events, body.project, body.job_id)
    response = answer(NewWebhookView(**WebhookView.of(made).model_dump(), secret=secret), 201)
    response.headers["Location"] = f"/v1/webhooks/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return response


@router.delete("/{webhook_id}", status_code=204, dependencies=[SUBMIT])
def delete_webhook(webhook_id: str, store: StoreDep, caller: CallerDep) -> Response:
    """Tell it nothing any more, and forget what it was told."""
    store.delete_webhook(_visible(store, caller, webhook_id).id)
    return Response(status_code=204)


@router.get("/{webhook_id}/deliveries", response_model=PageView[DeliveryView], dependencies=[READ])
def list_deliveries(webhook_id: str, store: StoreDep, caller: CallerDep, paging: PagingDep) -> Response:
    """What it was or is to be told, newest first, and how that went; kept for 30 days."""
    page = store.deliveries(_visible(store, caller, webhook_id).id, paging.cursor, paging.limit)
    items = [DeliveryView.of(delivery) for delivery in page.items]
    return answer(PageView[DeliveryView](items=items, next_cursor=page.next_cursor))


def _visible(store: Store, caller: Caller, id: str) -> Webhook:
    """The webhook, if it is of the caller's project. Raises NotFound."""
    webhook = store.get_webhook(id)
    if caller.sees not in (None, webhook.project):
        raise NotFound("webhook", id)
    return webhook
