"""Today: one row for each account, in the order of its worst signal, and the accounts that are lost at the end."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.measures import numbered
from services.console.api_client import Api, ApiError
from services.console.pages.today import CHANGES_SHOWN, MOST_SIGNALS
from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, event, health, signal
from tests.support.console import app_over, filled
from tests.support.warehouse_events import example
from tests.unit.console.test_pages import client_of


@pytest.fixture
def store() -> MemoryStore:
    own = filled(["acme", "globex"])
    own.insert("signals", [signal(900, "acme", "usage_silent", 1, "FIRING", account_name="acme", severity="WARNING")])
    return own


def recorded_as_lost(store: MemoryStore, account: str) -> None:
    said = '{"date":"2025-11-08","reason":"price"}'
    store.insert("events", [event(950, "l1", account=account, name="Account Lost", properties=said)])


def rows_of(page: str) -> list[str]:
    return [row.split("</li>")[0] for row in re.split(r'<li class="work ', page)[1:]]


async def test_the_signals_of_an_account_share_a_row(store: MemoryStore) -> None:
    async with client_of(app_over(store)) as client:
        page = (await client.get("/")).text

    acme, globex = rows_of(page)
    assert acme.count('class="work-what"') == 2
    assert acme.count("<dl") == acme.count('href="/accounts/acme"') == acme.count("Next step") == 1
    assert globex.count('class="work-what"') == 1
    assert "2 accounts · 3 signals" in page


async def test_a_lost_account_comes_last_and_asks_for_nothing(store: MemoryStore) -> None:
    recorded_as_lost(store, "acme")
    async with client_of(app_over(store)) as client:
        page = (await client.get("/")).text

    globex, acme = rows_of(page)
    assert "Next step" in globex
    assert "Next step" not in acme
    assert "Lost on Nov 8, 2025." in acme
    assert "Price" in acme
    assert "1 account · 1 signal<" in page
    assert page.index("On record as lost") < page.index('href="/accounts/acme"')


async def test_who_was_last_in_touch_is_told_beside_the_next_step(store: MemoryStore) -> None:
    said = '{"channel":"call","author":"Nora <Lindt>","text":"they are on leave"}'
    store.insert("events", [event(960, "c1", account="acme", name="Customer Contacted", properties=said)])
    store.insert("events", [event(961, "c2", account="globex", name="Customer Contacted", properties="{")])
    async with client_of(app_over(store)) as client:
        page = (await client.get("/")).text

    acme, globex = rows_of(page)
    assert re.search(
        r"Last contact: (today|\d+ days? ago) · <span[^>]*>Call</span> · <span[^>]*>Nora &lt;Lindt&gt;<", acme
    )
    assert acme.count("Last contact") == 1
    assert re.search(r"Last contact: (today|\d+ days? ago)</p>", globex)
    assert "they are on leave" not in page


def judge(store: MemoryStore, offset: int, verdict: str, severity: str = "WARNING", account: str = "acme") -> None:
    """Judge the silence of acme, in a record of an account."""
    said = {"episode_id": f"acme/usage_silent/{T0}", "rule": "usage_silent", "author": "Nora <Lindt>"}
    properties = json.dumps(said | {"verdict": verdict, "severity": severity})
    store.insert("events", [event(offset, f"j{offset}", account=account, name="Signal Judged", properties=properties)])


@pytest.mark.parametrize("severity", ["WARNING", "warning"])
async def test_a_signal_that_was_not_useful_is_set_aside_and_asks_for_nothing(
    store: MemoryStore, severity: str
) -> None:
    judge(store, 960, "useful")
    judge(store, 961, "not_useful", severity)
    async with client_of(app_over(store)) as client:
        page = (await client.get("/")).text

    decline, globex, aside = rows_of(page)
    assert "/accounts/acme" in decline
    assert "Judged" not in decline + globex
    assert "/accounts/acme" in aside
    assert re.search(r"Judged not useful · <span[^>]*>by Nora &lt;Lindt&gt;</span>, (today|\d+ days? ago)<", aside)
    assert "Next step" not in aside
    assert "2 accounts · 2 signals" in page


@pytest.mark.parametrize(("verdict", "severity"), [("useful", "WARNING"), ("not_useful", "INFO")])
async def test_a_useful_signal_and_one_that_became_more_severe_stay_to_be_worked_on(
    store: MemoryStore, verdict: str, severity: str
) -> None:
    judge(store, 960, verdict, severity)
    async with client_of(app_over(store)) as client:
        page = (await client.get("/")).text

    assert len(rows_of(page)) == 2
    assert "2 accounts · 3 signals" in page
    assert page.count("by Nora &lt;Lindt&gt;") == 1


async def test_a_record_of_another_account_judges_no_signal_of_this_one(store: MemoryStore) -> None:
    judge(store, 960, "useful")
    judge(store, 959, "not_useful", account="globex")
    async with client_of(app_over(store)) as client:
        page = (await client.get("/")).text

    assert "2 accounts · 3 signals" in page
    assert "Judged not useful" not in page


async def test_signals_of_a_lost_account_that_were_judged_are_counted_once(store: MemoryStore) -> None:
    recorded_as_lost(store, "acme")
    judge(store, 960, "not_useful")
    async with client_of(app_over(store)) as client:
        page = (await client.get("/")).text

    assert len(rows_of(page)) == 2
    assert "1 account · 1 signal<" in page


async def test_signals_that_nobody_needs_to_work_on_leave_the_first_places_to_others() -> None:
    rows, said = [], []
    for n in range(MOST_SIGNALS + 10):
        name, severity = f"a{n:03}", "CRITICAL" if n < MOST_SIGNALS else "INFO"
        rows.append(signal(n, name, "usage_silent", 1, "FIRING", severity=severity, account_name=name))
        verdict = {"episode_id": f"{name}/usage_silent/{T0}", "verdict": "not_useful", "severity": "CRITICAL"}
        if n < MOST_SIGNALS:
            said.append(event(n, f"j{n}", account=name, name="Signal Judged", properties=json.dumps(verdict)))
    rows.append(signal(900, "grows", "usage_growth", 1, "FIRING", category="EXPANSION", severity="INFO"))
    own = MemoryStore()
    own.insert("account_health", [health(1, "a000")])
    own.insert("signals", rows)
    own.insert("events", said)
    async with client_of(app_over(own)) as client:
        page = (await client.get("/")).text

    found = [re.search("/accounts/(\\w+)", row).group(1) for row in rows_of(page)]  # type: ignore[union-attr]
    to_do = [f"a{n:03}" for n in range(MOST_SIGNALS, MOST_SIGNALS + 10)]
    assert found[:11] == [*to_do, "grows"]
    assert len(found) == 11 + MOST_SIGNALS
    assert "10 accounts · 10 signals" in page
    assert "are shown" not in page


async def test_how_many_signals_there_are_is_right_where_not_all_are_shown() -> None:
    """Signals that have eased come after all others, so that risks may be left out though a chance is listed."""
    silent: dict[str, Any] = {"evidence": [{"name": "silent_days", "value": 30.0, "usual": 9.0}]}
    states, rows = [], []
    for n in range(MOST_SIGNALS + 20):
        states.append(health(n, f"a{n:03}", measures=numbered({"silent_days": 0.0 if n > 20 else 40.0})))
        rows.append(signal(n, f"a{n:03}", "usage_silent", 1, "FIRING", **silent))
    rows.append(signal(900, "grows", "usage_growth", 1, "FIRING", category="EXPANSION", severity="INFO"))
    own = MemoryStore()
    own.insert("account_health", states)
    own.insert("signals", rows)
    async with client_of(app_over(own)) as client:
        page = (await client.get("/")).text

    assert len(rows_of(page)) == MOST_SIGNALS
    assert f">{MOST_SIGNALS + 20} signals<" in page
    assert '<span class="pill">1</span>' in page
    assert f"The first {MOST_SIGNALS} are shown." in page


async def test_today_is_told_where_losses_and_contacts_are_not_known(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(api: Api, path: str) -> None:
        raise ApiError(503, "unavailable", "", "too much at once")

    recorded_as_lost(store, "acme")
    store.insert("events", [event(960, "c1", account="globex", name="Customer Contacted", properties="{}")])
    async with client_of(app_over(store)) as client:
        told = (await client.get("/")).text
        monkeypatch.setattr(Api, "get_recent", refused)
        page = (await client.get("/")).text

    said = "Accounts that are lost may be among these."
    assert (said in told, said in page) == (False, True)
    assert len(rows_of(page)) == 2
    assert "On record as lost" not in page
    assert "Last contact" not in page


async def test_a_day_that_is_past_is_not_shown_as_today(store: MemoryStore) -> None:
    """While a past is read in, "Nothing needs attention" would be told of a day months ago."""
    fresh = MemoryStore()
    now = int(datetime.now(UTC).timestamp() * 1000)
    fresh.insert("account_health", [health(1, "acme", at=now, day=now // DAY_MS)])
    async with client_of(app_over(store)) as old, client_of(app_over(fresh)) as new:
        behind, up_to_date = (await old.get("/")).text, (await new.get("/")).text

    assert "this is not how things stand today" in behind
    assert "this is not how things stand today" not in up_to_date


@pytest.mark.parametrize(("hours", "is_behind"), [(47, False), (49, True)])
async def test_the_newest_data_are_behind_once_they_are_more_than_two_days_old(hours: int, is_behind: bool) -> None:
    fresh = MemoryStore()
    fresh.insert("account_health", [health(1, "acme", at=T0 + DAY_MS - 1)])
    app = app_over(fresh)
    app.state.clock = lambda: (T0 + DAY_MS + hours * HOUR_MS) / 1000
    async with client_of(app) as client:
        page = (await client.get("/")).text

    assert ("this is not how things stand today" in page) is is_behind


async def test_every_account_that_changed_since_yesterday_can_be_seen() -> None:
    own = MemoryStore()
    rows = [(T0 - HOUR_MS, "GREEN", 800), (T0 + HOUR_MS, "RED", 300), (T0 + 2 * HOUR_MS, "RED", 300)]
    for number in range(CHANGES_SHOWN + 3):
        for n, (at, band, tenths) in enumerate(rows, 1):
            told = {"sequence": n, "at": at, "day": (at - 1) // DAY_MS, "band": band, "score_tenths": tenths}
            own.insert("account_health", [health(10 * number + n, f"a{number}", **told)])
    async with client_of(app_over(own)) as client:
        page = (await client.get("/")).text

    first, rest = page[page.index('id="changes"') :].split("<details>")
    assert first.count('class="move-head"') == CHANGES_SHOWN
    assert "3 more accounts changed" in rest
    assert rest.partition("</details>")[0].count('class="move-head"') == 3


@pytest.mark.parametrize(
    ("by_tenths", "shown"),
    [((-30, -3), "Use of four weeks, against usual: −3 points</p>"), ((-4, -3), "−0.4 points · .*: −0.3 points</p>")],
)
async def test_a_reason_of_no_whole_point_is_told_only_where_all_are_so_small(
    by_tenths: tuple[int, int], shown: str
) -> None:
    parts = example("account_health/examples/red.json")["parts"]
    before = [
        {**part, "contribution_tenths": part["contribution_tenths"] - change}
        for part, change in zip(parts, by_tenths, strict=True)
    ]
    own = MemoryStore()
    own.insert(
        "account_health",
        [
            health(
                1,
                "acme",
                at=T0 - DAY_MS + HOUR_MS,
                day=T0 // DAY_MS - 1,
                band="YELLOW",
                parts=before,
                score_tenths=312 - sum(by_tenths),
            ),
            health(2, "acme", at=T0 + HOUR_MS, day=T0 // DAY_MS, band="RED", parts=parts),
        ],
    )
    async with client_of(app_over(own)) as client:
        page = (await client.get("/")).text

    assert re.search(f'<p class="move-why">.*{shown}', page)
    assert "±0" not in page
