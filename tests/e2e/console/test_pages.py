"""The console in a real Chromium: nothing that axe-core objects to, no error, nothing wider than the screen, and the keyboard."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from services.console.settings import ConsoleSettings
from services.shared.http.server import serving
from services.warehouse.domain.rows import Row
from services.warehouse.http.feed import Feed
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import example, health, signal
from tests.support.clients import node_package
from tests.support.console import app_over
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

PAGES = ["/", "/?mine=1", "/portfolio", "/portfolio?owner=nobody", "/ingest", "/waiting", "/right"]
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_HOLD = """() => document.querySelectorAll("[hx-trigger^=every]").forEach((part) => {
    part.setAttribute("data-held", "");
    part.dispatchEvent(new CustomEvent("htmx:abort"));
})"""
"""axe keeps a page busy for so long that answers to what it asks by itself would be too late."""


@asynccontextmanager
async def opened(browser: Browser, **options: Any) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open a page of its own; what goes wrong in it is added to the list."""
    context = await browser.new_context(**options)
    said: list[str] = []
    page = await context.new_page()
    page.on("console", lambda message: said.append(f"{message.text} {message.location['url']}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page, said
    await context.close()


async def found_by_axe(page: Page) -> list[str]:
    """Return what axe-core objects to, with the places."""
    source = (node_package("axe-core") / "axe.min.js").read_text("utf-8")
    await page.evaluate(source)
    await page.evaluate(_HOLD)
    result = await page.evaluate("levels => axe.run(document, {runOnly: levels})", LEVELS)
    return [
        f"{each['impact']} {each['id']}: {[node['target'] for node in each['nodes'][:3]]}"
        for each in result["violations"]
        if each["impact"] in {"serious", "critical", "moderate"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_are_accessible_and_without_errors_in_both_themes(
    address: str, browser: Browser, scheme: Any
) -> None:
    async with opened(browser, color_scheme=scheme, viewport={"width": 1440, "height": 900}) as (page, said):
        for path in PAGES:
            await page.goto(address + path)
            assert await found_by_axe(page) == [], path
        assert said == []


async def test_pages_fit_a_narrow_screen(address: str, browser: Browser) -> None:
    async with opened(browser, viewport={"width": 360, "height": 740}) as (page, _):
        for path in PAGES:
            await page.goto(address + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path


async def test_pages_fit_a_screen_that_is_enlarged_twice(address: str, browser: Browser) -> None:
    async with opened(browser, viewport={"width": 720, "height": 450}) as (page, _):
        for path in PAGES:
            await page.goto(address + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 720, path


async def test_that_an_account_is_away_is_legible_beside_a_long_name(browser: Browser) -> None:
    store, always = MemoryStore(), {"absent_from": 0, "absent_until": 40_000}
    facts = example("account_health/examples/red.json")["facts"] | {"name": "A name that takes up its column"}
    store.insert("account_health", [health(0, "acme", sequence=1, facts=facts, dates=always)])
    async with (
        serving(app_over(store), "127.0.0.1", 0) as port,
        opened(browser, viewport={"width": 1280, "height": 900}) as (page, _),
    ):
        await page.goto(f"http://127.0.0.1:{port}/portfolio")
        mark = await page.locator(".pill.away").bounding_box()
        cell = await page.locator("tbody .c-account").bounding_box()
        assert mark is not None and cell is not None
        assert mark["x"] + mark["width"] <= cell["x"] + cell["width"]


async def test_events_by_hour_begin_at_the_newest_on_a_narrow_screen(address: str, browser: Browser) -> None:
    async with opened(browser, viewport={"width": 390, "height": 844}, java_script_enabled=False) as (page, _):
        await page.goto(f"{address}/ingest")
        box = await page.locator(".scroll:has(> svg.wide)").bounding_box()
        chart = await page.locator("svg.wide").bounding_box()
        assert box is not None and chart is not None
        assert chart["width"] > box["width"]
        assert chart["x"] + chart["width"] <= box["x"] + box["width"] + 1


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", ["Learning", "Risk not known"]), ("pt", ["Em aprendizagem", "Risco desconhecido"]),
     ("it", ["In apprendimento", "Rischio non noto"])],
)  # fmt: skip
async def test_no_dash_on_a_narrow_screen_is_of_nobody_knows_what(
    browser: Browser, language: str, said: list[str]
) -> None:
    """Of an account that is still learning, without the heads of the columns."""
    store = MemoryStore()
    facts = {**dict.fromkeys(example("account_health/examples/red.json")["facts"]), "name": "Young"}
    new = health(1, "young", band="LEARNING", risk_thousandths=None, risk_parts=[], facts=facts)
    store.insert("account_health", [new])
    async with (
        serving(app_over(store), "127.0.0.1", 0) as port,
        opened(browser, viewport={"width": 390, "height": 844}, locale=language) as (page, _),
    ):
        await page.goto(f"http://127.0.0.1:{port}/portfolio")
        seen = await page.locator(".accounts tbody tr").inner_text()
        risk = await page.locator("td.c-risk .unseen").bounding_box()

    assert [word for word in said if word in seen] == said
    assert risk is not None and risk["width"] > 50
    assert "–" not in seen


@pytest.mark.parametrize("language", ["en", "pt", "it"])
async def test_what_can_be_chosen_is_legible_on_a_narrow_screen(address: str, browser: Browser, language: str) -> None:
    async with opened(browser, viewport={"width": 390, "height": 844}, locale=language) as (page, _):
        await page.goto(f"{address}/portfolio")
        selects = page.locator(".filters select")
        room = await selects.evaluate_all("all => all.map(each => each.getBoundingClientRect().width)")
        # As wide as what is chosen makes it by itself.
        needed = await selects.evaluate_all(
            """all => all.map((each) => {
                const alone = each.cloneNode();
                alone.append(each.selectedOptions[0].cloneNode(true));
                document.querySelector("main").append(alone);
                return alone.getBoundingClientRect().width;
            })"""
        )
        assert [each for each in zip(room, needed, strict=True) if each[0] < each[1] - 1] == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [1280, 390])
async def test_what_is_wrong_with_a_record_is_in_sight_without_script(
    store: MemoryStore, browser: Browser, width: int
) -> None:
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    size = {"width": width, "height": 800}
    async with (
        serving(app_over(store, settings), "127.0.0.1", 0) as port,
        opened(browser, viewport=size, java_script_enabled=False) as (page, _),
    ):
        await page.goto(f"http://127.0.0.1:{port}/accounts/acme")
        form = page.locator("details.record", has_text="Loss")
        await form.locator("summary").click()
        await form.locator("[name=date]").fill("2999-01-01")
        await form.locator("[name=reason]").select_option("price")
        await form.locator("[name=author]").fill("Ann")
        await form.get_by_role("button").click()
        await page.wait_for_load_state()

        problem = page.get_by_role("alert")
        assert await problem.inner_text() == "Day of the loss: this is more than a year ahead."
        box = await problem.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800


async def test_the_whole_head_of_a_column_sorts_by_it(address: str, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{address}/portfolio")
        head = await page.locator("th.c-signals").bounding_box()
        assert head is not None
        await page.mouse.click(head["x"] + head["width"] - 4, head["y"] + head["height"] / 2)
        await until(lambda: _is_at(page, f"{address}/portfolio?sort=signals"), 10)
        assert said == []


async def test_a_narrow_screen_shows_ten_accounts_until_its_reader_asks_for_all(address: str, browser: Browser) -> None:
    async with opened(browser, viewport={"width": 390, "height": 844}, java_script_enabled=False) as (page, _):
        await page.goto(address)
        rows = page.get_by_role("list", name="Risks").get_by_role("listitem")
        assert await rows.count() == 10
        await page.get_by_text(re.compile(r"^Show all \d+ accounts$")).click()
        assert await rows.count() > 10
        await page.set_viewport_size({"width": 1280, "height": 800})
        assert not await page.get_by_text(re.compile("^Show all")).is_visible()


async def test_search_as_you_type_narrows_the_list_and_stays_in_the_address(address: str, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{address}/portfolio")
        await page.keyboard.press("/")
        await page.keyboard.type("globex")
        await until(lambda: _shows(page, 1), 10)
        await until(lambda: _is_at(page, f"{address}/portfolio?q=globex"), 10)
        await page.get_by_role("link", name="Health", exact=True).click()
        await until(lambda: _is_at(page, f"{address}/portfolio?q=globex&sort=score"), 10)
        await page.reload()
        assert await page.locator("#q").input_value() == "globex"
        assert await page.locator("#list tbody tr").count() == 1
        assert said == []


async def test_a_search_that_finds_one_account_leads_to_it(address: str, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        for start in ("/", "/portfolio"):
            await page.goto(address + start)
            await page.keyboard.press("/")
            await page.keyboard.type("glob")
            await page.keyboard.press("Enter")
            await until(lambda: _is_at(page, f"{address}/accounts/globex"), 10)
        await page.goto(address)
        await page.keyboard.press("/")
        await page.keyboard.type("e")
        await page.keyboard.press("Enter")
        await until(lambda: _is_at(page, f"{address}/portfolio?q=e"), 10)
        assert said == []


async def test_an_attribute_that_was_injected_without_the_nonce_does_nothing(address: str, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{address}/portfolio")
        await page.evaluate(
            """() => {
                const planted = document.createElement("button");
                planted.setAttribute("hx-get", "/waiting");
                planted.setAttribute("hx-target", "#list");
                document.querySelector("main").append(planted);
                htmx.process(planted);
                planted.click();
            }"""
        )
        await until(lambda: _said(said, "blocked"), 10)
        blocked = await page.evaluate(
            """() => { try { document.body.innerHTML = "<p>x"; return false } catch (error) { return error.name } }"""
        )
        assert blocked == "TypeError"  # Trusted Types: nobody but htmx writes HTML
        assert await page.locator("#list tbody tr").count() > 1


async def test_rows_are_walked_and_opened_by_the_keyboard(address: str, browser: Browser) -> None:
    async with opened(browser) as (page, _):
        await page.goto(f"{address}/portfolio")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        second = page.locator("#list tbody tr a").nth(1)
        assert await second.evaluate("link => link === document.activeElement")
        await page.keyboard.press("?")
        assert await page.locator("#keys").is_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("g")
        await page.keyboard.press("w")
        await until(lambda: _is_at(page, f"{address}/waiting"), 10)


async def test_without_script_every_page_reads_and_filters(address: str, browser: Browser) -> None:
    async with opened(browser, java_script_enabled=False) as (page, _):
        await page.goto(f"{address}/portfolio")
        await page.fill("#q", "globex")
        await page.get_by_role("button", name="Apply").click()
        assert "q=globex" in page.url
        assert await page.locator("#list tbody tr").count() == 1
        await page.goto(address)
        assert await page.locator(".work").count() > 1
        assert "UTC" in await page.locator(".asof").inner_text()


async def test_a_signal_that_fires_is_told_and_shown_when_the_reader_asks(
    address: str, browser: Browser, feed: Feed, store: MemoryStore
) -> None:
    async with opened(browser) as (page, said):
        async with page.expect_response("**/live"):
            await page.goto(address)
        before = await page.locator(".work-what").count()
        row = signal(900, "acme", "usage_silent", 1, "FIRING", historical=False)
        store.insert("signals", [row])
        await until(lambda: _is_told(page, feed, row), 20)
        await page.locator(".news a").click()
        await until(lambda: _has(page, ".work-what", before + 1), 10)
        assert said == []


@pytest.mark.parametrize(("scheme", "chosen", "background"), [
    ("light", "dark", "rgb(15, 18, 23)"), ("dark", "light", "rgb(246, 247, 249)"), ("dark", "system", "rgb(15, 18, 23)"),
])  # fmt: skip
async def test_the_theme_that_was_chosen_counts_before_that_of_the_system(
    address: str, browser: Browser, scheme: Any, chosen: str, background: str
) -> None:
    async with opened(browser, color_scheme=scheme) as (page, _):
        await page.context.add_cookies([{"name": "tidemark_theme", "value": chosen, "url": address}])
        await page.goto(f"{address}/waiting")

        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == background


async def test_times_are_in_the_readers_zone(address: str, browser: Browser) -> None:
    async with opened(browser, timezone_id="Asia/Tokyo") as (page, _):
        await page.goto(f"{address}/waiting")
        shown = page.locator(".asof time")
        at = await shown.get_attribute("datetime")
        assert at is not None
        assert f"{(int(at[11:13]) + 9) % 24 % 12 or 12}:{at[14:16]}" in await shown.inner_text()


async def _is_told(page: Page, feed: Feed, row: Row) -> bool:
    """Publish again until the page has told: the stream may have begun only now."""
    feed.publish({"signals": [row]})
    return await page.locator(".news").is_visible()


async def _has(page: Page, what: str, count: int) -> bool:
    return await page.locator(what).count() == count


async def _shows(page: Page, count: int) -> bool:
    return await page.locator("#list tbody tr").count() == count


async def _is_at(page: Page, address: str) -> bool:
    return page.url == address


async def _said(said: list[str], part: str) -> bool:
    return any(part in each for each in said)
