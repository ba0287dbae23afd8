"""An account in a real Chromium: five questions answered within three clicks, any past day, and what people record."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page

from services.shared.http.server import serving
from tests.e2e.console.test_pages import found_by_axe, opened
from tests.support.recording_console import RecordingConsole, recording_console, small_past

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

FELL, LEFT, RESTED = "coral-travel", "eastgate-motors", "clearwater-labs"
"""Accounts of the simulator: one stops, one loses people, one is on a long holiday."""
PAST_DAY = (datetime.now(UTC) - timedelta(days=56)).date()


@dataclass
class Served:
    """A console that is served."""

    console: RecordingConsole
    address: str


@dataclass
class Clicks:
    """Counts what a reader clicks."""

    page: Page
    count: int = 0
    on: list[str] = field(default_factory=list)

    async def click(self, what: Locator) -> None:
        self.count += 1
        await what.click()
        await self.page.wait_for_load_state()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Served]:
    """A console over twelve accounts of the simulator."""
    past = await asyncio.to_thread(small_past)
    async with recording_console(past) as console, serving(console.app, "127.0.0.1", 0) as port:
        yield Served(console, f"http://127.0.0.1:{port}")


async def test_who_needs_me_today_takes_no_click(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(served.address)

        assert await page.locator(".works .work").first.locator(".work-next").is_visible()


async def test_why_it_fell_takes_two_clicks(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(served.address)
        clicks = Clicks(page)
        await clicks.click(page.locator(f".works a[href='/accounts/{FELL}']").first)
        assert await page.get_by_role("heading", name="Why did it change?").is_visible()
        await clicks.click(page.get_by_role("link", name="Every part of the change"))

        assert await page.locator("#why tbody tr").count() > 2
        assert clicks.count <= 3


@pytest.mark.parametrize("span", ["7 days ago", "28 days ago", "90 days ago"])
async def test_the_steps_of_a_change_add_up_to_it_exactly(served: Served, browser: Browser, span: str) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/accounts/{FELL}")
        await page.get_by_role("link", name=span).click()
        await page.wait_for_load_state()

        start, *steps, end = [_points(text) for text in await page.locator("#why tbody .num").all_inner_texts()]
        assert start + sum(steps) == end
        assert await page.locator("#why nav [aria-current]").inner_text() == span


async def test_layers_of_the_table_add_up_to_the_score(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/accounts/{FELL}")
        await page.locator("#panel-health summary").click()

        rows = await page.locator("#panel-health tbody tr").all()
        assert len(rows) > 10
        for row in rows:
            _, score, *layers = await row.locator("td").all_inner_texts()
            assert sum(map(_points, layers)) == _points(score)


async def test_is_it_a_holiday_takes_one_click_and_shows_all_customers(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/portfolio")
        clicks = Clicks(page)
        await clicks.click(page.locator(f"a[href='/accounts/{RESTED}']").first)

        answer = page.locator("#holiday")
        assert "All customers:" in await answer.inner_text()
        assert "No planned absence now" in await answer.inner_text()
        assert await page.locator("#panel-customers .fleet-line").count() == 1
        assert clicks.count <= 3


async def test_who_left_takes_one_click(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/portfolio")
        clicks = Clicks(page)
        await clicks.click(page.locator(f"a[href='/accounts/{LEFT}']").first)

        answer = await page.locator("#left").inner_text()
        assert "left or are quiet" in answer
        assert "eastgate-motors.example" in answer
        assert await page.locator("#panel-people .mark-left").count() >= 1
        assert clicks.count <= 3


async def test_what_was_known_on_a_past_day_takes_two_clicks_and_shows_nothing_newer(
    served: Served, browser: Browser
) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/portfolio")
        clicks = Clicks(page)
        await clicks.click(page.locator(f"a[href='/accounts/{FELL}']").first)
        await page.locator("#at").fill(PAST_DAY.isoformat())
        await clicks.click(page.get_by_role("button", name="Open", exact=True))

        assert page.url.endswith(f"?at={PAST_DAY.isoformat()}")
        assert "As it was on" in await page.locator(".banner").inner_text()
        assert clicks.count <= 3
        times = await page.locator("#events time").evaluate_all("all => all.map(each => each.dateTime)")
        assert times
        assert max(times)[:10] <= PAST_DAY.isoformat()
        assert await page.locator("#record form").count() == 0


async def test_a_week_of_the_axis_opens_the_account_as_it_was(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/accounts/{FELL}")
        link = page.locator(".ruler a").nth(20)
        address = await link.get_attribute("href")
        await link.click()
        await page.wait_for_load_state()

        assert address is not None
        assert page.url == served.address + address
        assert await page.locator(".banner.was").is_visible()


async def filled(page: Page, record: str, **fields: str) -> Locator:
    """Open the form of a kind of record, and return it filled in by Nora Lindt."""
    await page.locator("#record summary", has_text=record).click()
    form = page.locator("details[open] form")
    for name, value in {**fields, "author": "Nora Lindt"}.items():
        await form.locator(f"[name={name}]").fill(value)
    return form


async def test_a_note_is_on_the_log_with_its_author_and_then_on_the_axis(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{served.address}/accounts/{LEFT}")
        form = await filled(page, "Note", text="They moved to Berlin <b>")
        await form.get_by_role("button").click()
        await page.wait_for_url("**?recorded=note#recorded")

        event = _newest(served, "Note Added")
        assert event["account"] == LEFT
        assert '"author":"Nora Lindt"' in event["properties"]
        served.console.store_what_arrived()
        await page.get_by_role("link", name="Show it").click()
        assert "They moved to Berlin <b>" in await page.locator(".records").inner_text()
        assert "by Nora Lindt" in await page.locator(".records").inner_text()
        assert await page.locator("#panel-events .mark-note").count() == 1
        assert said == []


async def test_a_goal_is_set_and_marked_as_reached(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{served.address}/accounts/{FELL}")
        form = await filled(page, "Goal", goal="Ten reports a week")
        await form.get_by_role("button").click()
        served.console.store_what_arrived()
        await page.get_by_role("link", name="Show it").click()
        goal = page.locator(".records li", has_text="Ten reports a week")
        await goal.locator("summary").click()
        await goal.locator("[name=author]").fill("Ivan Petrov")
        await goal.get_by_role("button", name="Record").click()
        await page.wait_for_url("**?recorded=reached#recorded")

        set_by, reached = _newest(served, "Goal Set"), _newest(served, "Goal Reached")
        assert f'"goal_id":"{set_by["event_id"]}"' in reached["properties"]
        assert '"author":"Ivan Petrov"' in reached["properties"]
        served.console.store_what_arrived()
        await page.get_by_role("link", name="Show it").click()
        assert "says Ivan Petrov" in await goal.locator(".record-reached").inner_text()
        assert await goal.get_by_role("button").count() == 0
        assert await page.locator("#panel-events .mark-reached").count() == 1
        assert said == []


async def test_a_signal_that_was_not_useful_is_set_aside_on_today_and_counted(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{served.address}/accounts/{FELL}")
        signal = page.locator(".open-signals .work").first
        await signal.locator("summary").click()
        assert await found_by_axe(page) == []
        await signal.locator("[name=text]").fill("They moved office")
        await signal.locator("[name=author]").fill("Ivan Petrov")
        await signal.get_by_role("button", name="Not useful").click()
        await page.wait_for_url("**?recorded=judged#recorded")

        judged = _newest(served, "Signal Judged")["properties"]
        assert '"verdict":"not_useful"' in judged
        assert '"text":"They moved office"' in judged
        served.console.store_what_arrived()
        await page.get_by_role("link", name="Show it").click()
        assert "Judged not useful · by Ivan Petrov" in await signal.locator(".work-judged").inner_text()
        assert await page.locator("#panel-events .mark-judged").count() == 1
        await page.goto(served.address)
        aside = page.get_by_role("list", name="Judged not useful")
        assert await aside.locator(f"a[href='/accounts/{FELL}']").count() == 1
        assert await aside.locator(".work-next").count() == 0
        assert await found_by_axe(page) == []
        await page.goto(f"{served.address}/right")
        assert await page.locator(".right-judged tbody td").all_inner_texts() == ["0", "1"]
        assert said == []


async def test_an_absence_and_a_handoff_are_recorded_without_script(served: Served, browser: Browser) -> None:
    today = datetime.now(UTC).date()
    async with opened(browser, java_script_enabled=False) as (page, _):
        await page.goto(f"{served.address}/accounts/{RESTED}")
        away = await page.locator("#panel-events .bar-away").count()
        first, last = ((today - timedelta(days=back)).isoformat() for back in (20, 12))
        form = await filled(page, "Planned absence", **{"from": first, "to": last})
        await form.get_by_role("button").click()
        form = await filled(page, "Handoff", to_owner="Nora Lindt")
        await form.get_by_role("button").click()

        served.console.store_what_arrived()
        await page.goto(f"{served.address}/accounts/{RESTED}")
        assert await page.locator("#panel-events .bar-away").count() == away + 1
        assert await page.locator("#panel-events .mark-handoff").count() == 1
        groups = [each for each in served.console.ingest.events("console") if each["kind"] == "GROUP"]
        assert [each["properties"] for each in groups] == ['{"owner":"Nora Lindt"}']


async def test_a_refused_record_names_its_field_and_keeps_what_was_written(served: Served, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/accounts/{FELL}")
        absence = {"from": "2026-12-10", "to": "2026-12-01", "text": "Company holiday"}
        form = await filled(page, "Planned absence", **absence)
        await form.get_by_role("button").click()
        await page.wait_for_load_state()

        assert await page.get_by_role("alert").inner_text() == "Last day: the last day is before the first."
        assert await page.locator("details[open] [aria-invalid]").get_attribute("name") == "to"
        assert await page.locator("details[open] [name=text]").input_value() == "Company holiday"
        assert await found_by_axe(page) == []


async def test_a_record_survives_an_ingest_that_takes_nothing_and_is_recorded_once(
    served: Served, browser: Browser
) -> None:
    log = served.console.ingest.log
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/accounts/{FELL}")
        form = await filled(page, "Contact", text="We talked about the reports")
        log.refuse("the broker is away")
        await form.get_by_role("button").click()
        await page.wait_for_load_state()
        log.accept()
        assert "nothing that you wrote is lost" in await page.get_by_role("alert").inner_text()
        form = page.locator("details[open] form")
        assert await form.locator("textarea").input_value() == "We talked about the reports"
        await form.get_by_role("button").click()
        await page.wait_for_url("**?recorded=contact#recorded")

        assert len([e for e in served.console.ingest.events("console") if e["name"] == "Customer Contacted"]) == 1


async def test_the_axis_is_one_stop_of_the_keyboard_from_which_the_arrows_go_on(
    served: Served, browser: Browser
) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{served.address}/accounts/{FELL}")
        axes, stops = await page.locator(".ruler").count(), page.locator(".ruler a[tabindex='0']")
        assert await stops.count() == axes

        await stops.first.focus()
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("ArrowLeft")
        weeks = page.locator(".ruler").first.locator("a")
        there = weeks.nth(await weeks.count() - 3)
        assert await there.evaluate("link => link === document.activeElement")
        assert await stops.count() == axes
        await page.keyboard.press("Enter")
        await page.wait_for_url("**?at=*")
        assert await page.locator(".banner.was").is_visible()


async def test_a_narrow_screen_keeps_the_names_of_rows_and_the_numbers_of_axes_in_sight(
    served: Served, browser: Browser
) -> None:
    async with opened(browser, viewport={"width": 390, "height": 800}) as (page, _):
        await page.goto(f"{served.address}/accounts/{LEFT}")
        for panel in ("health", "use", "people", "signals", "events"):
            gutter = page.locator(f"#panel-{panel} .gutter")
            box = await gutter.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 200
            assert await gutter.locator("text").count() > 0
            starts = await gutter.locator(".lane-name").evaluate_all("names => names.map(name => name.getBBox().x)")
            assert [x for x in starts if x < 0] == [], panel
        menu = page.locator(".bar nav a")
        for each in await menu.all():
            box = await each.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_is_accessible_in_both_themes_and_on_a_narrow_screen(
    served: Served, browser: Browser, scheme: Any
) -> None:
    for width in (1440, 360):
        async with opened(browser, color_scheme=scheme, viewport={"width": width, "height": 800}) as (page, said):
            await page.goto(f"{served.address}/accounts/{LEFT}")

            assert await found_by_axe(page) == [], width
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            assert said == []


def _points(text: str) -> Decimal:
    return Decimal(text.replace("−", "-"))


def _newest(served: Served, name: str) -> dict[str, Any]:
    return [each for each in served.console.ingest.events("console") if each["name"] == name][-1]
