"""Nothing is lost or counted twice: offline, while the server fails, over reloads, when a page is left, in several tabs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAITING = "() => Object.keys(localStorage).filter(key => key.startsWith('tidemark:e')).length"
LATER_MS = 600_000


def _once(tracking: Any) -> bool:
    return set(tracking.copies().values()) == {1}


async def test_events_go_in_one_batch_of_plain_text_that_needs_no_preflight(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/"))
    await page.evaluate("['A', 'B', 'C'].forEach(name => tidemark.track(name))")

    await tracking.until_named("C")
    assert "OPTIONS" not in {request.method for request in tracking.gateway.requests}
    (request,) = [request for request in tracking.gateway.posts() if b'"event":"A"' in request.body]
    assert (request.path, request.headers[b"content-type"]) == ("/v1/batch", b"text/plain;charset=UTF-8")
    assert b"cookie" not in request.headers
    assert len(request.ids()) >= 3


async def test_what_happens_offline_comes_once_the_network_is_back(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/"))
    await tracking.until_paths("/")
    await tracking.until_answered(page)
    await tracking.context.set_offline(True)
    await page.evaluate("['A', 'B', 'C'].forEach(name => tidemark.track(name))")
    await until(lambda: page.evaluate("'tidemark:wait' in localStorage"), 10)
    assert await page.evaluate(WAITING) == 3

    await tracking.context.set_offline(False)

    await tracking.until_named("C")
    assert [event["name"] for event in tracking.events()] == ["", "A", "B", "C"]
    assert _once(tracking)


async def test_a_failing_server_gets_the_same_events_again_after_a_pause(tracking: Any) -> None:
    tracking.gateway.failures = [(503, {}), (500, {})]

    await tracking.open(tracking.site.page("/"))

    await tracking.until_paths("/")
    first, second, third = tracking.gateway.posts()
    assert first.ids() == second.ids() == third.ids()
    assert second.at - first.at >= 0.1 and third.at - second.at >= 0.2


@pytest.mark.parametrize("flush", [0, "soon"])
async def test_a_page_that_sends_at_once_waits_for_a_failing_server_too(tracking: Any, flush: Any) -> None:
    tracking.gateway.failures = [(503, {})]

    await tracking.open(tracking.site.page("/", flush=flush))

    await tracking.until_paths("/")
    first, second = tracking.gateway.posts()
    assert second.at - first.at >= 1


async def test_a_request_that_came_too_slowly_is_sent_again(tracking: Any) -> None:
    tracking.gateway.failures = [(408, {})] * 3  # Chromium itself repeats one, at once

    await tracking.open(tracking.site.page("/"))

    await tracking.until_paths("/")
    assert len({tuple(request.ids()) for request in tracking.gateway.posts()}) == 1


async def test_the_pause_that_the_server_asks_for_holds_in_every_tab(tracking: Any) -> None:
    tracking.log.refuse("Kafka is being restarted")  # answered with 429 and the seconds to wait
    address = tracking.site.page("/")
    page = await tracking.open(address)
    await until(lambda: page.evaluate("'tidemark:wait' in localStorage"), 10)
    tracking.log.accept()
    sent = len(tracking.gateway.posts())

    other = await tracking.open_from(page, tracking.site.page("/other"))
    await page.evaluate("tidemark.track('A')")
    await other.evaluate("tidemark.track('B')")
    await tracking.until_named("B")

    posts = tracking.gateway.posts()
    assert posts[sent].at - posts[sent - 1].at >= 1
    assert len(tracking.events()) == 4 and _once(tracking)


async def test_the_older_header_says_how_long_to_wait_too(tracking: Any) -> None:
    tracking.gateway.failures = [
        (429, {"X-RateLimit-Reset": "1", "access-control-expose-headers": "X-RateLimit-Reset"})
    ]

    await tracking.open(tracking.site.page("/"))

    await tracking.until_paths("/")
    first, second = tracking.gateway.posts()
    assert 1 <= second.at - first.at < 4


async def test_what_the_server_refuses_is_dropped_and_the_console_says_why(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", key="mistyped"))

    await until(lambda: tracking.problems, 10)
    assert "unknown_write_key" in tracking.problems[0]
    assert await page.evaluate(WAITING) == 0


async def test_an_event_that_is_refused_alone_is_named_in_the_console(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/"))
    await page.evaluate("tidemark.track('')")
    await page.evaluate("tidemark.track('Big', {text: 'x'.repeat(40000)})")
    await page.evaluate("tidemark.track('Round', {window})")

    await tracking.until_paths("/")
    await until(lambda: len(tracking.problems) == 3, 10)
    large, circular, refused = sorted(tracking.problems, key=lambda text: "success" in text)
    assert "over 32 KB" in large
    assert "circular" in circular
    assert '"field":"event"' in refused


async def test_the_queue_survives_a_reload(tracking: Any) -> None:
    tracking.gateway.failures = [(503, {"Retry-After": "1"})]
    page = await tracking.open(tracking.site.page("/"))
    await until(lambda: page.evaluate("'tidemark:wait' in localStorage"), 10)
    await page.evaluate("tidemark.track('Before')")

    await page.reload()

    await tracking.until_named("Before")
    await tracking.until_paths("/", "/")
    assert _once(tracking)


async def test_two_hundred_kilobytes_are_left_behind_by_a_page_that_goes(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", flush=LATER_MS))
    await page.evaluate(
        "for (let i = 0; i < 400; i++) tidemark.track('Row', {i, text: 'ä'.repeat(60) + '😀'.repeat(30)})"
    )
    assert await page.evaluate(WAITING) >= 400

    await page.goto(tracking.site.page("/next"))

    await until(lambda: len(tracking.named("Row")) == 400, 20, lambda: f"{len(tracking.named('Row'))}")
    await until(lambda: page.evaluate(f"({WAITING})() === 0"), 10)
    assert sum(len(request.body) for request in tracking.gateway.posts()) > 200_000
    assert max(len(request.body) for request in tracking.gateway.posts()) < 65_536
    beacons = [request for request in tracking.gateway.posts() if request.headers.get(b"sec-fetch-mode") == b"no-cors"]
    assert len(beacons) > 1
    assert sorted(event["properties"]["i"] for event in tracking.named("Row")) == [*range(400)]
    assert _once(tracking)


async def test_no_beacon_is_risked_while_the_server_fails(tracking: Any) -> None:
    tracking.gateway.failures = [(503, {"Retry-After": "4"})]  # longer than a slow machine needs for the next page
    page = await tracking.open(tracking.site.page("/"))
    await until(lambda: page.evaluate("'tidemark:wait' in localStorage"), 10)
    await page.evaluate("tidemark.track('Late')")
    sent = len(tracking.gateway.posts())

    await page.goto(tracking.site.page("/next"))
    await tracking.until_named("Late")

    assert all(request.headers[b"sec-fetch-mode"] == b"cors" for request in tracking.gateway.posts()[: sent + 1])
    assert _once(tracking)


def _calls(tracking: Any) -> list[Any]:
    """Return the requests of pages that wait for the answer: not the beacon of a page that goes."""
    return [request for request in tracking.gateway.posts() if request.headers[b"sec-fetch-mode"] == b"cors"]


async def test_several_tabs_neither_lose_nor_double(tracking: Any) -> None:
    address = tracking.site.page("/")
    first = await tracking.open(address)
    tabs = [first, *[await tracking.open_from(first, address) for _ in range(2)]]
    await tracking.until_paths("/", "/", "/")
    await tracking.until_answered(first)
    await tracking.context.set_offline(True)
    for number, tab in enumerate(tabs):
        await tab.evaluate("tab => { for (let i = 0; i < 40; i++) tidemark.track('Row', {i, tab}) }", number)
    await tabs.pop().close()
    tracking.gateway.open.clear()
    sent = len(_calls(tracking))

    await tracking.context.set_offline(False)
    await until(lambda: len(_calls(tracking)) > sent, 20)
    for tab in tabs:
        await tab.evaluate("tidemark.track('Later')")
        await tab.wait_for_function("() => new Promise(done => setTimeout(done, 400, true))")  # all have tried to send
    assert len(_calls(tracking)) == sent + 1
    tracking.gateway.open.set()

    await tracking.until_named("Later", 2)
    rows = await tracking.until_named("Row", 120)
    assert len({(row["properties"]["tab"], row["properties"]["i"]) for row in rows}) == 120
    assert _once(tracking)


async def test_the_queue_has_a_bound_and_keeps_the_newest(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", flush=LATER_MS))

    await page.evaluate("for (let i = 0; i < 60; i++) tidemark.track('Row', {i, text: 'x'.repeat(20000)})")

    kept = await page.evaluate("() => Object.entries(localStorage).filter(([key]) => key.startsWith('tidemark:e'))")
    assert 450_000 < sum(len(text) for _, text in kept) <= 500_000
    assert any('"i":59' in text for _, text in kept) and not any('"i":9,' in text for _, text in kept)


async def test_a_browser_that_forbids_storage_sends_all_the_same(tracking: Any) -> None:
    await tracking.context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
    )
    tracking.gateway.failures = [(503, {})]
    page = await tracking.open(tracking.site.page("/"))
    await page.evaluate("tidemark.track('A')")
    await tracking.until_named("A")
    await page.evaluate("tidemark.track('Last')")

    await page.goto(tracking.site.page("/next"))

    await tracking.until_named("Last")
    assert tracking.problems == []
