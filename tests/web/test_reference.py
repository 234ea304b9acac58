"""The API reference comes from the service itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.web.server import Server

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_the_api_reference_needs_no_other_server(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("link", name="API").click()
    expect(page.get_by_text("/v1/jobs/{job_id}/pareto", exact=True)).to_be_visible()
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []


@pytest.mark.slow
def test_trying_out_uses_the_token_of_the_dashboard(page: Page) -> None:
    page.goto("/reference.html")
    page.get_by_text("/v1/metrics", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
