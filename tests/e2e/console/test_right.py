"""The page of back-tests in a real Chromium: by a list of lost customers, and by the losses that people recorded."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from services.shared.http.server import serving
from tests.e2e.console.test_account import Served
from tests.e2e.console.test_pages import found_by_axe, opened
from tests.support.recording_console import recording_console, small_past
from tests.support.stopped_customers import LOST_ON, write_events
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A console whose back-tests read a file of events."""
    past = await asyncio.to_thread(small_past)
    events = await asyncio.to_thread(write_events, tmp_path_factory.mktemp("events") / "events.csv")
    async with recording_console(past, str(events)) as console, serving(console.app, "127.0.0.1", 0) as port:
        yield Served(console, f"http://127.0.0.1:{port}")


async def test_it_was_right_by_a_list_of_lost_customers(served: Served, browser: Browser, tmp_path: Path) -> None:
    lost = tmp_path / "lost.csv"
    lost.write_text(f"account,date\nc0,{LOST_ON}\nc1,{LOST_ON - timedelta(days=5)}\nc2,soon\n")
    async with opened(browser) as (page, said):
        await page.goto(f"{served.address}/right")
        assert await found_by_axe(page) == []
        await page.locator("input[type=file]").set_input_files(lost)
        await page.get_by_role("button", name="Start").click()
        assert await page.locator("progress").count() == 1
        await until(lambda: _is_done(page), 150)

        assert "Of your 2 lost accounts Tidemark would have flagged 2" in await page.locator(".headline").inner_text()
        assert "line 4" in await page.locator("#run pre.code").first.inner_text()
        assert await page.get_by_role("button", name="Start").is_visible()  # another one, without a reload
        report = page.get_by_role("link", name="Read the report")
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await report.evaluate("button => button.scrollHeight <= button.clientHeight"), "its words are cut off"
        await report.click()
        await page.wait_for_url("**/right/report")
        assert await page.locator("h1").inner_text() == "Back-test"
        assert said == []


async def test_losses_on_record_are_the_list_of_a_back_test_without_a_file(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        for account, day in (("c0", LOST_ON), ("c1", LOST_ON), ("c2", datetime.now(UTC).date() + timedelta(days=30))):
            form: dict[str, str | float | bool] = {
                "kind": "churn",
                "date": str(day),
                "reason": "price",
                "author": "Nora Lindt",
            }
            sent = await page.request.post(f"{served.address}/accounts/{account}", form=form, max_redirects=0)
            assert sent.status == 303
        served.console.store_what_arrived()
        await page.goto(f"{served.address}/right")
        taken = page.get_by_label("Take the 2 losses on record as the list")
        assert await taken.is_checked()
        await page.get_by_text("Which these are").click()
        assert await page.locator(".recorded tbody a").all_inner_texts() == ["c1", "c0"]
        assert await page.get_by_text("The loss of one more account lies ahead").is_visible()
        assert await found_by_axe(page) == []
        await page.get_by_role("button", name="Start").click()

        assert "With the 2 losses on record" in await page.locator("#run").inner_text()
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_role("heading", name="The back-test was stopped").wait_for()
        run = served.console.app.state.backtests.latest
        listed = (run.folder / "lost.csv").read_text().splitlines()
        assert listed == ["account,date,reason", f"c1,{LOST_ON},price", f"c0,{LOST_ON},price"]
        assert said == []


async def _is_done(page: Page) -> bool:
    return bool(await page.locator(".headline").count())
