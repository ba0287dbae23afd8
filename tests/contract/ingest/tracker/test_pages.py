"""Page views, engagement and clicks, as a real browser makes them."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_page_is_counted_once(tracking: Any) -> None:
    await tracking.open(tracking.site.page("/home"))

    await tracking.until_paths("/home")
    (event,) = tracking.events()
    assert event["properties"] == {
        "path": "/home",
        "url": tracking.site.url + "/home",
        "title": "home",
        "referrer": "",
    }
    assert event["context"]["library"]["name"] == "tidemark.js"
    assert tracking.problems == []


async def test_each_route_of_an_application_is_counted_once(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/"))
    await tracking.until_paths("/")

    await page.evaluate("history.pushState({}, '', '/reports')")
    await tracking.until_paths("/", "/reports")
    await page.evaluate("history.replaceState({scroll: 1}, '', '/reports')")
    await page.evaluate("history.pushState({}, '', '/reports?page=2')")
    await page.evaluate("history.pushState({}, '', '/moved'); history.replaceState({}, '', '/settings')")
    await tracking.until_paths("/", "/reports", "/settings")
    await page.evaluate("history.go(-2)")

    await tracking.until_paths("/", "/reports", "/settings", "/reports")
    assert tracking.events()[-1]["properties"]["referrer"] == tracking.site.url + "/settings"
