"""API tokens: make, list, rotate, revoke."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.body_reading import PlainRoute
from service.api.dependencies import ADMIN, StoreDep
from service.api.responses import answer
from service.api.token_views import NewTokenView, RotateRequest, TokenRequest, TokenView
from service.api.views import ItemsView
from service.store.records import Token

router = APIRouter(prefix="/tokens", tags=["tokens"], dependencies=[ADMIN], route_class=PlainRoute)


@router.get("", response_model=ItemsView[TokenView])
def list_tokens(store: StoreDep) -> Response:
    """All tokens, without their secrets."""
    return answer(ItemsView[TokenView](items=[TokenView.of(token) for token in store.list_tokens()]))


@router.post("", response_model=NewTokenView, status_code=201)
def create_token(body: TokenRequest, store: StoreDep) -> Response:
    """Make a token. Its secret is in this answer and nowhere else."""
    return _shown(*store.create_token(body.name, body.scopes, body.project, body.ttl, body.rate))


@router.post("/{token_id}/rotate", response_model=NewTokenView, status_code=201)
def rotate_token(token_id: str, body: RotateRequest, store: StoreDep) -> Response:
    """Make a token like this one, with a new secret; the old one ends now or `overlap` seconds from now, so that
    whoever uses it has time to change."""
    return _shown(*store.rotate_token(token_id, body.overlap))


@router.delete("/{token_id}", response_model=TokenView)
def revoke_token(token_id: str, store: StoreDep) -> Response:
    """Make a token useless. Revoking it again changes nothing."""
    return answer(TokenView.of(store.revoke_token(token_id)))


def _shown(secret: str, token: Token) -> Response:
    response = answer(NewTokenView(**TokenView.of(token).model_dump(), secret=secret), 201)
    response.headers["Location"] = f"/v1/tokens/{token.id}"
    response.headers["Cache-Control"] = "no-store"
    return response
