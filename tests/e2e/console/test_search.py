"""Search as you type in a real Chromium that is slow, and over a network that keeps back, mixes up and loses answers."""

import pytest
from playwright.async_api import Browser, Page, Request, Route

from tests.e2e.console.test_pages import opened
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


class Gate:
    """Holds requests back until it is opened."""

    def __init__(self) -> None:
        self.held: list[Route] = []
        self.is_open = False

    async def hold(self, route: Route) -> None:
        if self.is_open:
            await route.continue_()
        else:
            self.held.append(route)

    async def open(self) -> None:
        """Let everything through, the latest first."""
        self.is_open = True
        for route in reversed(self.held):
            await route.continue_()


def _is_part(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


async def test_what_is_typed_before_the_script_has_come_is_searched_for(address: str, browser: Browser) -> None:
    gate = Gate()
    async with opened(browser) as (page, said):
        await page.route("**/htmx.min.js", gate.hold)
        await page.goto(f"{address}/portfolio", wait_until="commit")
        await page.locator("#q").type("globex")
        await page.locator("#q").press("End")
        await gate.open()

        await until(lambda: _shows(page, ["globex"]), 10)
        assert page.url == f"{address}/portfolio?q=globex"
        assert said == []


async def test_the_last_letters_count_in_whatever_order_answers_come(address: str, browser: Browser) -> None:
    gate, count = Gate(), 0

    async def in_turn(route: Route) -> None:
        nonlocal count
        count += _is_part(route.request)
        await (gate.hold(route) if count == 1 and _is_part(route.request) else route.continue_())

    async with opened(browser) as (page, _):
        await page.route("**/portfolio**", in_turn)
        await page.goto(f"{address}/portfolio")
        await page.locator("#q").fill("acme")
        await until(lambda: _holds(gate, 1), 10)
        await page.locator("#q").fill("globex")
        await until(lambda: _shows(page, ["globex"]), 10)
        await gate.open()

        assert await _shows(page, ["globex"])
        assert page.url == f"{address}/portfolio?q=globex"


async def test_an_order_that_is_chosen_while_a_search_runs_takes_nothing_away_from_it(
    address: str, browser: Browser
) -> None:
    gate = Gate()

    async def first_parts(route: Route) -> None:
        await (gate.hold(route) if _is_part(route.request) else route.continue_())

    async with opened(browser) as (page, said):
        await page.route("**/portfolio**", first_parts)
        await page.goto(f"{address}/portfolio")
        await page.locator("#q").fill("globex")
        await until(lambda: _holds(gate, 1), 10)
        await page.get_by_role("link", name="Health", exact=True).click()
        await until(lambda: _holds(gate, 2), 10)
        gate.is_open = True
        await gate.held[1].continue_()

        await until(lambda: _shows(page, ["globex"]), 10)
        assert page.url == f"{address}/portfolio?q=globex&sort=score"
        await page.locator("#q").fill("acme")
        await until(lambda: _shows(page, ["acme"]), 10)
        assert page.url == f"{address}/portfolio?q=acme&sort=score"
        assert said == []


@pytest.mark.parametrize("failure", ["503", "no answer"])
async def test_a_search_without_an_answer_is_told_and_asked_again(address: str, browser: Browser, failure: str) -> None:
    failing = True

    async def answer(route: Route) -> None:
        if not (failing and _is_part(route.request)):
            await route.continue_()
        elif failure == "503":
            await route.fulfill(status=503, body="<p>the store does not answer</p>")
        else:
            await route.abort()

    async with opened(browser) as (page, _):
        await page.route("**/portfolio**", answer)
        await page.goto(f"{address}/portfolio")
        rows = await page.locator("#list tbody tr").count()
        await page.locator("#q").fill("globex")
        await page.locator("[data-stale]").wait_for(state="visible")
        assert await page.locator("#list tbody tr").count() == rows
        failing = False

        await until(lambda: _shows(page, ["globex"]), 10)
        assert not await page.locator("[data-stale]").is_visible()


async def _shows(page: Page, accounts: list[str]) -> bool:
    return await page.locator("#list tbody th").all_inner_texts() == accounts


async def _holds(gate: Gate, count: int) -> bool:
    return len(gate.held) == count
