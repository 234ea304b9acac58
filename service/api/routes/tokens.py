"""API tokens: make, list, revoke."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.body_reading import PlainRoute
from service.api.dependencies import ADMIN, StoreDep
from service.api.responses import answer
from service.api.views import ItemsView, NewTokenView, TokenRequest, TokenView

router = APIRouter(prefix="/tokens", tags=["tokens"], dependencies=[ADMIN], route_class=PlainRoute)


@router.get("", response_model=ItemsView[TokenView])
def list_tokens(store: StoreDep) -> Response:
    """All tokens, without their secrets."""
    return answer(ItemsView[TokenView](items=[TokenView.of(token) for token in store.list_tokens()]))


@router.post("", response_model=NewTokenView, status_code=201)
def create_token(body: TokenRequest, store: StoreDep) -> Response:
    """Make a token. Its secret is in this answer and nowhere else."""
    secret, token = store.create_token(body.name, body.scopes, body.project, body.ttl)
    return answer(NewTokenView(**TokenView.of(token).model_dump(), secret=secret), 201)


@router.delete("/{token_id}", response_model=TokenView)
def revoke_token(token_id: str, store: StoreDep) -> Response:
    """Make a token useless. Revoking it again changes nothing."""
    return answer(TokenView.of(store.revoke_token(token_id)))
