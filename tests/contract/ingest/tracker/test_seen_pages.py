"""Pages that are hidden, left and come back to, in a Chromium that has windows and tabs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.support.clients import chromium
from tests.support.pages import a_browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Yield one that is started for this module."""
    async with a_browser(chromium()) as started:
        yield started


async def test_a_page_out_of_the_back_forward_cache_is_seen_again(tracking: Any) -> None:
    first, second = tracking.site.page("/first"), tracking.site.page("/second")
    page = await tracking.open(first)
    await tracking.until_paths("/first")
    await tracking.until_answered(page)  # a page with a request under way is not kept
    await page.evaluate("window.kept = true")
    await page.goto(second)
    await tracking.until_paths("/first", "/second")

    await page.go_back(wait_until="commit")

    await tracking.until_paths("/first", "/second", "/first")
    assert await page.evaluate("window.kept")  # or else it was loaded, not restored


async def test_a_page_counts_once_it_is_seen_and_its_time_once_it_is_not(tracking: Any, unattended: Any) -> None:
    """No driver: a driven page is always visible. One page prerenders the next, which opens a tab in front of itself."""
    site = tracking.site
    site.page("/other", head="<script>performance.now = () => 1</script>")  # it says nothing of its own time
    then = """<script>
        let passed = 1
        performance.now = () => passed
        // Once the view of this page is queued, and its time has begun: with the focus, which may come late.
        const then = next => {
            const view = text => text.includes('"type":"page"') && text.includes(`"title":"${document.title}"`)
            const isSeen = () => document.hasFocus() && Object.values(localStorage).some(view)
            const look = () => isSeen() ? next(passed += 1700) : setTimeout(look, 10)
            look()
        }</script>"""
    site.page(
        "/prerendered",
        """<script>
        const early = document.prerendering
        addEventListener("load", () => localStorage.rendered = 1)
        document.addEventListener("prerenderingchange", () => {
            tidemark.track("Activated", {early})
            then(() => open("/other"))
        })</script>""",
        head=then,
    )
    rules = '{"prerender": [{"urls": ["/prerendered"], "eagerness": "immediate"}]}'
    start = site.page(
        "/start",
        """<script>
        tidemark = []
        const go = () => localStorage.rendered ? (location = "/prerendered") : setTimeout(go, 10)
        then(go)</script>""",
        head=f"{then}<script type=speculationrules>{rules}</script>",
    )

    async with unattended(start):
        await tracking.until_paths("/start", "/prerendered", "/other")
        left = await tracking.until_named("Page Left", 2)

    (activated,) = tracking.named("Activated")
    (prerendered,) = [event for event in tracking.events() if event["properties"].get("path") == "/prerendered"][:1]
    assert activated["properties"] == {"early": True}
    assert prerendered["occurred_at"] >= activated["occurred_at"]
    # In either order: the two pages are in processes of their own, and each says by itself that it was left.
    assert {event["properties"]["path"]: event["properties"]["engaged_seconds"] for event in left} == {
        "/start": 2,
        "/prerendered": 2,
    }


async def test_time_counts_while_the_page_has_the_focus(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/long", "<p style='height: 4000px'>text"))
    await tracking.until_paths("/long")
    other = await tracking.context.new_page()
    await tracking.focus(page)  # the window has one focus, and it is with the other page
    await other.bring_to_front()
    await page.wait_for_function("() => !document.hasFocus()")
    await page.evaluate("passed += 5000")
    await page.bring_to_front()
    await page.wait_for_function("() => document.hasFocus()")
    await page.evaluate("passed += 2000")
    await page.evaluate("scrollTo(0, (document.documentElement.scrollHeight - innerHeight) / 2)")
    await page.evaluate("new Promise(requestAnimationFrame)")

    await page.evaluate("history.pushState({}, '', '/next')")

    (left,) = await tracking.until_named("Page Left")
    assert left["properties"]["path"] == left["context"]["page"]["path"] == "/long"
    assert left["properties"]["engaged_seconds"] == 2
    assert 50 < left["properties"]["scroll_percent"] < 75
