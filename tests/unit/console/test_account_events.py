"""The list of an account's events, page by page, now and on a day of the past."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.console.pages.account_events import SHOWN
from tests.contract.warehouse.stored import T0, event
from tests.support.console import app_over, filled
from tests.unit.console.test_pages import Found, client_of

MINUTE_MS = 60_000
LAST_DAY = (datetime.fromtimestamp(T0 / 1000, UTC) - timedelta(days=1)).date()


@pytest.mark.parametrize("then", ["", f"?at={LAST_DAY}"])
async def test_older_events_and_the_way_back_are_those_of_the_day_that_is_shown(then: str) -> None:
    store = filled(["acme"])
    times = [T0 - (number + 1) * MINUTE_MS for number in range(2 * SHOWN)]
    store.insert(
        "events",
        [
            event(100 + n, f"e{n}", account="acme", name=f"Event {n:02}.", occurred_at=at, received_at=at)
            for n, at in enumerate(times)
        ],
    )
    async with client_of(app_over(store)) as client:
        newest = await client.get(f"/accounts/acme{then}")
        older = await client.get(link(newest, "Older"))
        back = await client.get(link(older, "To the newest"))

    assert [each.status_code for each in (newest, older, back)] == [200, 200, 200]
    assert "Event 00." in newest.text
    assert "Event 00." not in older.text
    assert f"Event {SHOWN + 2}." in older.text
    assert shown_day(older) == shown_day(back) == shown_day(newest)
    assert [("Back to now" in each.text) for each in (newest, older, back)] == [bool(then)] * 3


def link(page: httpx.Response, words: str) -> str:
    found = re.search(rf'href="([^"]+)"[^>]*>{words}<', page.text)
    assert found is not None
    return found[1].replace("&amp;", "&")


def shown_day(page: httpx.Response) -> str | None:
    return next(each["value"] for each in Found(page.text).all("input") if each.get("id") == "at")
