"""The midnight that ends a day belongs to it, on every page."""

from datetime import UTC, datetime

import pytest

from services.console.days import days_between, log_day_text
from services.shared.units import DAY_MS
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, example, health, signal
from tests.support.console import app_over
from tests.unit.console.test_pages import client_of

DAY = T0 // DAY_MS
DAYS = 4


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("2026-03-31", "2026-03-31"),
        ("2026-03-31T00:00:00.000Z", "2026-03-30"),
        ("2026-03-31T00:00:00.001Z", "2026-03-31"),
        ("2026-03-31T23:59:59.999Z", "2026-03-31"),
        ("2026-03-31T02:00:00+02:00", "2026-03-30"),
    ],
)
def test_a_time_belongs_to_the_day_that_it_ends(told: str, day: str) -> None:
    assert log_day_text(told) == day


def test_days_are_counted_between_days_and_times() -> None:
    assert days_between("2026-03-31T00:00:00.000Z", "2026-04-01") == 2
    assert days_between("2026-04-01", "2026-03-31T12:00:00.000Z") == -1
    assert days_between(None, "2026-04-01") is days_between("2026-04-01", "") is None


@pytest.fixture
def store() -> MemoryStore:
    """Return the days of an account, each published at its closing, and a signal that the last closing sent."""
    own = MemoryStore()
    facts = example("account_health/examples/red.json")["facts"] | {"renewal_day": DAY + DAYS + 9}
    for number in range(DAYS):
        own.insert(
            "account_health", [health(number, "acme", at=(DAY + number + 1) * DAY_MS, day=DAY + number, facts=facts)]
        )
    at = (DAY + DAYS) * DAY_MS
    said = {"at": at, "episode_started_at": at, "severity": "WARNING", "renewal_day": DAY + DAYS + 9}
    own.insert("signals", [signal(900, "acme", "usage_silent", 1, "FIRING", **said)])
    return own


async def test_a_signal_of_the_closing_of_a_day_is_of_that_day(store: MemoryStore) -> None:
    day = datetime.fromtimestamp((DAY + DAYS - 1) * 86_400, UTC)
    async with client_of(app_over(store)) as client:
        page = (await client.get(f"/accounts/acme?at={day:%Y-%m-%d}")).text

    drawn = page[page.index('id="panel-signals"') :].partition("</svg>")[0]
    assert f"since {day:%b} {day.day}, {day.year}" in page
    assert 'class="mark-warning"' in drawn
    assert 'class="bar-warning"' in drawn


async def test_days_until_the_renewal_are_the_same_on_every_page(store: MemoryStore) -> None:
    async with client_of(app_over(store)) as client:
        pages = [(await client.get(path)).text for path in ("/", "/portfolio", "/accounts/acme")]

    assert ["in 10 days" in page for page in pages] == [True, True, True]
