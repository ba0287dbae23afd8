"""Page views, engagement and clicks, as a real browser makes them."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    for same in ("history.replaceState({scroll: 1}, '', '/reports')", "history.pushState({}, '', '/reports?page=2')"):
        await page.evaluate(same)
        await page.wait_for_function("() => new Promise(done => setTimeout(done, 120, true))")  # it has been looked at
    await page.evaluate("history.pushState({}, '', '/moved'); history.replaceState({}, '', '/settings')")
    await tracking.until_paths("/", "/reports", "/settings")
    await page.evaluate("history.go(-2)")

    await tracking.until_paths("/", "/reports", "/settings", "/reports")
    assert tracking.events()[-1]["properties"]["referrer"] == tracking.site.url + "/settings"


async def test_the_hash_is_a_route_only_where_it_is_asked_for(tracking: Any) -> None:
    plain = await tracking.open(tracking.site.page("/plain") + "#one")
    await tracking.until_paths("/plain")
    await plain.evaluate("location.hash = 'two'")
    routed = await tracking.open(tracking.site.page("/routed", hash="") + "#/one")
    await tracking.until_paths("/plain", "/routed#/one")

    await routed.evaluate("location.hash = '/two'")

    await tracking.until_paths("/plain", "/routed#/one", "/routed#/two")


async def test_only_parameters_that_the_page_names_are_sent(tracking: Any) -> None:
    address = tracking.site.page("/list", query="view,tab")

    page = await tracking.open(address + "?token=secret&tab=open&view=")
    await tracking.until_paths("/list")
    await page.evaluate("history.pushState({}, '', '?token=other&view=&tab=closed')")
    await tracking.until_paths("/list", "/list")

    urls = [event["properties"]["url"] for event in tracking.events()]
    assert urls == [address + "?view=&tab=open", address + "?view=&tab=closed"]


async def test_a_glance_is_no_engagement(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/"))
    seen = ["/"]
    await tracking.until_paths(*seen)

    for path, ms in (("/a", 999), ("/b", 999), ("/c", 1000)):
        await page.evaluate("([path, ms]) => { passed += ms; history.pushState({}, '', path) }", [path, ms])
        await tracking.until_paths(*(seen := [*seen, path]))

    (left,) = await tracking.until_named("Page Left")
    assert (left["properties"]["path"], left["properties"]["engaged_seconds"]) == ("/b", 1)


async def test_a_page_may_count_its_views_itself(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/wizard", manual=""))
    await page.evaluate("tidemark.page('Step Two', {step: 2})")
    await page.evaluate("history.pushState({}, '', '/wizard/3')")

    await tracking.until_paths("/wizard")
    (event,) = tracking.events()
    assert (event["name"], event["properties"]["step"]) == ("Step Two", 2)
