"""The live tail in a real Chromium: events as they come, bounded, held by their reader, and readable without script."""

import pytest
from playwright.async_api import Browser, Page

from services.warehouse.http.feed import Feed
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, event
from tests.e2e.console.test_pages import found_by_axe, opened
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

SHOWN = 50


def arrive(feed: Feed, first: int, count: int, name: str) -> None:
    rows = [event(n, f"{name}{n}", name=name, received_at=T0 + n) for n in range(first, first + count)]
    feed.publish({"events": rows})


async def test_events_show_as_they_come_and_stay_while_their_reader_holds_them(
    address: str, browser: Browser, feed: Feed
) -> None:
    async with opened(browser, color_scheme="dark") as (page, said):
        await page.goto(f"{address}/ingest")
        arrive(feed, 0, 300, "Report Shared")
        await until(lambda: _newest(page, "Report Shared"), 10)
        assert await page.locator("#tail tbody tr").count() == SHOWN
        assert "300 events stored" in await page.locator("#tail").inner_text()

        await page.get_by_role("button", name="Pause").click()
        arrive(feed, 300, 1, "Login")
        await page.locator("#tail").evaluate(
            "tail => tail.dispatchEvent(new CustomEvent('every'))"
        )  # its time has come
        await page.evaluate("() => fetch('/ingest').then(answer => answer.text())")
        assert await _newest(page, "Report Shared")
        await page.get_by_role("button", name="Go on").click()
        await until(lambda: _newest(page, "Login"), 10)
        feed.publish({}, erased=True)
        await until(lambda: _has(page, 0), 10)
        arrive(feed, 301, 60, "Login")
        await until(lambda: _has(page, SHOWN), 10)
        assert await found_by_axe(page) == []
        assert said == []


async def test_the_tail_reads_without_script(address: str, browser: Browser, feed: Feed) -> None:
    arrive(feed, 400, 1, "Login")
    async with opened(browser, java_script_enabled=False) as (page, _):
        await page.goto(f"{address}/ingest")
        assert await _newest(page, "Login")
        arrive(feed, 401, 1, "Report Shared")
        await page.get_by_role("link", name="Refresh").click()
        assert await _newest(page, "Report Shared")
        assert not await page.get_by_role("button", name="Pause").is_visible()


async def test_events_of_an_account_show_as_they_come(address: str, browser: Browser, store: MemoryStore) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{address}/accounts/globex")
        store.insert("events", [event(900, "e900", account="globex", name="Just Now", occurred_at=T0 + 900)])
        await until(lambda: _lists(page, "Just Now"), 15)
        await page.get_by_role("button", name="Pause").click()
        assert await page.locator("#events[data-held]").count() == 1
        assert said == []


async def _newest(page: Page, name: str) -> bool:
    rows = page.locator("#tail tbody tr b")
    return await rows.count() > 0 and await rows.first.inner_text() == name


async def _has(page: Page, count: int) -> bool:
    return await page.locator("#tail tbody tr").count() == count


async def _lists(page: Page, name: str) -> bool:
    return name in await page.locator("#events").inner_text()


async def test_times_of_another_year_are_shown_with_the_year(address: str, browser: Browser) -> None:
    """An event that came years late would else look like one of this year."""
    for years, shown in ((0, False), (5, True)):
        async with opened(browser) as (page, _):
            await page.clock.set_fixed_time((T0 + years * 366 * 86_400_000) / 1000)
            await page.goto(f"{address}/accounts/acme")
            first = page.locator("time[data-local='']").first
            year = (await first.get_attribute("datetime") or "")[:4]
            assert (year in await first.inner_text()) is shown
