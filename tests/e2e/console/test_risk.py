"""Rank and chance of risk in a real Chromium: on the portfolio, and what makes them on the account's page."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from services.shared.http.server import serving
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import example, health
from tests.e2e.console.test_pages import found_by_axe, opened
from tests.support.console import app_over
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

RANKED = "a1"
"""An account of a model that was not fitted; that of the example (`a0`) was."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ranked() -> AsyncIterator[str]:
    """Where a console is served over twelve accounts, the first the riskiest; of the last two no risk is known."""
    store = MemoryStore()
    for n in range(12):
        told = {"risk_predicts": "UNKNOWN", "risk_thousandths": -1115 - n, "day": 20_000, "at": 20_001 * 86_400_000}
        parts = [{"number": 0, "thousandths": -2400 - n}, {"number": 22, "thousandths": 1285}]
        if n == 0:
            told = {"day": 20_000, "at": 20_001 * 86_400_000}
        elif n > 9:
            told |= {"risk_thousandths": None, "risk_parts": []}
        else:
            told |= {"risk_parts": parts}
        facts = {"name": None, "owner": "Nora Lindt"}
        store.insert("account_health", [health(n, f"a{n}", sequence=1, facts={**_facts(), **facts}, **told)])
    async with serving(app_over(store), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


async def test_the_portfolio_sorts_by_risk_and_shows_the_riskiest_tenth_alone(ranked: str, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{ranked}/portfolio")
        await page.get_by_role("link", name="Risk", exact=True).click()
        await until(lambda: _lists(page, [f"a{n}" for n in range(12)]), 10)
        assert page.url == f"{ranked}/portfolio?sort=risk"
        assert await page.locator("th[aria-sort]").inner_text() == "Risk"
        first, second, *_, last = await page.locator("td.c-risk").all()
        assert await first.inner_text() == "Riskiest tenth\n25%"
        assert await first.locator("[title]").get_attribute("title") == (
            "Riskiest tenth. 25% chance that the account is lost in the next 12 weeks"
        )
        assert await second.inner_text() == "Among the riskiest 20% of accounts"
        assert "Risk not known" in await last.inner_text()

        await page.get_by_text("Riskiest tenth", exact=True).first.click()
        await until(lambda: _lists(page, ["a0"]), 10)
        assert page.url == f"{ranked}/portfolio?risk_tenth=1&sort=risk"
        assert said == []


async def test_the_riskiest_tenth_is_found_without_script(ranked: str, browser: Browser) -> None:
    async with opened(browser, java_script_enabled=False) as (page, _):
        await page.goto(f"{ranked}/portfolio")
        await page.get_by_text("Riskiest tenth", exact=True).first.click()
        await page.get_by_role("button", name="Apply").click()

        assert await _lists(page, ["a0"])


async def test_what_makes_the_risk_adds_up_exactly(ranked: str, browser: Browser) -> None:
    async with opened(browser) as (page, said):
        await page.goto(f"{ranked}/accounts/a0")
        answer = page.locator("#risky")
        assert "25% chance that the account is lost in the next 12 weeks" in await answer.inner_text()
        await answer.get_by_role("link", name="What makes the risk").click()

        usual, *steps, total = [_log_odds(text) for text in await page.locator("#risk tbody .num").all_inner_texts()]
        assert (usual, total) == (Decimal("-2.400"), Decimal("-1.115"))
        assert len(steps) == 3
        assert usual + sum(steps) == total
        bars = await page.locator("#risk .step rect").evaluate_all(
            "all => all.map(bar => [bar.x.baseVal.value, bar.x.baseVal.value + bar.width.baseVal.value])"
        )
        assert bars[1][1] == pytest.approx(bars[2][0], abs=0.2)  # a bar goes on where the one before ended
        assert await found_by_axe(page) == []
        assert said == []


async def test_a_rank_alone_is_no_percentage(ranked: str, browser: Browser) -> None:
    async with opened(browser, locale="it-IT") as (page, _):
        await page.goto(f"{ranked}/accounts/{RANKED}")

        text = await page.locator("#risky").inner_text()
        assert "Fra il 20% degli account più a rischio" in text
        assert text.count("%") == 1


async def _lists(page: Page, accounts: list[str]) -> bool:
    return await page.locator("#list tbody th").all_inner_texts() == accounts


def _log_odds(text: str) -> Decimal:
    return Decimal(text.replace("−", "-"))


def _facts() -> dict[str, object]:
    facts: dict[str, object] = example("account_health/examples/red.json")["facts"]
    return facts
