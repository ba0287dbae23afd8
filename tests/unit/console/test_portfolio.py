"""What the rows of the portfolio say of an account, as its own page says it."""

import re
from html import unescape

import pytest

from services.console.pages.portfolio import ROWS
from services.shared.units import DAY_MS
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, health
from tests.support.console import app_over
from tests.unit.console.test_pages import client_of

LAST_DAY = T0 // DAY_MS - 1


@pytest.mark.parametrize(
    ("days_ago", "band", "change"),
    [(28, "GREEN", "−45"), (40, "GREEN", "−45"), (27, "GREEN", None), (28, "LEARNING", None)],
)
async def test_a_row_and_the_page_of_an_account_tell_the_same_change_in_four_weeks(
    days_ago: int, band: str, change: str | None
) -> None:
    store = MemoryStore()
    for number, (ago, of, tenths) in enumerate([(days_ago, band, 762), (7, "GREEN", 700), (0, "RED", 312)]):
        at = {"day": LAST_DAY - ago, "at": T0 - ago * DAY_MS, "sequence": number}
        store.insert("account_health", [health(number, "acme", band=of, score_tenths=tenths, **at)])
    async with client_of(app_over(store)) as client:
        listed = (await client.get("/portfolio")).text
        page = (await client.get("/accounts/acme")).text

    in_row = re.search(r'<td class="c-health">.*?</td>', listed, re.DOTALL)
    on_page = re.search(r'<div class="fact-score">.*?</div>', page, re.DOTALL)
    assert in_row is not None
    assert on_page is not None
    assert re.findall(r'class="change[^>]*>([^ <]+)', in_row[0]) == ([change] if change else [])
    assert re.findall(r'class="change[^>]*>([^ <]+)', on_page[0]) == ([change] if change else [])


async def test_the_way_to_the_next_page_promises_no_number_of_accounts() -> None:
    """How many are on it is not known beforehand."""
    store = MemoryStore()
    for number in range(ROWS + 1):
        store.insert("account_health", [health(number, f"account-{number}", sequence=1)])
    async with client_of(app_over(store)) as client:
        first = (await client.get("/portfolio")).text
        way = re.search(r'<a class="button" href="([^"]+)" rel="next">([^<]*)</a>', first)
        assert way is not None
        second = (await client.get(unescape(way[1]))).text

    assert way[2] == "Next page"
    assert second.count('<th scope="row"') == 1
