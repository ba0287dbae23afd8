"""The simulated past is the same each time, in time order, and tells the stories that it names."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from services.ingest.domain.admission import admit
from services.ingest.domain.request import Request
from services.shared.calendars import public_holidays
from services.shared.errors import Rejected
from services.shared.units import DAY_MS
from services.simulator import History, Storyline, TimedEvent, live_traffic, roster, stray_traffic
from services.simulator.strays import REFUSED
from tests.support.ingest import rules

UNTIL_MS = 1_795_010_000_000


@pytest.fixture(scope="module")
def events() -> list[TimedEvent]:
    return list(History(7, UNTIL_MS).events())


def active_user_days(events: list[TimedEvent], account: str, first_left: int, last_left: int) -> int:
    """Count user-days of an account between two days (left), both included."""
    last_day = UNTIL_MS // DAY_MS
    return len(
        {
            (event.at_ms // DAY_MS, event.call["userId"])
            for event in events
            if event.call["context"]["groupId"] == account
            and event.call["type"] in ("track", "page")
            and "userId" in event.call
            and last_left <= last_day - event.at_ms // DAY_MS <= first_left
        }
    )


def test_the_same_seed_gives_the_same_bytes(events: list[TimedEvent]) -> None:
    again = msgspec.json.encode(list(History(7, UNTIL_MS).events()))

    assert msgspec.json.encode(events) == again


def test_another_seed_gives_other_events(events: list[TimedEvent]) -> None:
    other = next(History(8, UNTIL_MS).events())

    assert other != events[0]


def test_events_come_in_time_order_and_end_before_the_moment(events: list[TimedEvent]) -> None:
    times = [event.at_ms for event in events]

    assert times == sorted(times)
    assert times[-1] < UNTIL_MS


def test_each_event_has_a_message_id_of_its_own(events: list[TimedEvent]) -> None:
    assert len({event.call["messageId"] for event in events}) == len(events)


def test_there_are_sixty_accounts_and_a_load_that_a_laptop_takes_in_a_minute(events: list[TimedEvent]) -> None:
    accounts = Counter(event.call["context"]["groupId"] for event in events)

    assert len(accounts) == 60
    assert 70_000 < len(events) < 200_000


def test_every_account_states_its_facts_before_anything_else(events: list[TimedEvent]) -> None:
    first: dict[str, str] = {}
    for event in events:
        first.setdefault(event.call["context"]["groupId"], event.call["type"])

    assert set(first.values()) == {"group"}


@pytest.mark.parametrize(
    ("storyline", "low", "high"),
    [
        (Storyline.STEADY, 0.75, 1.35),
        (Storyline.SLOW_DECAY, 0.0, 0.5),
        (Storyline.SEAT_LOSS, 0.1, 0.65),
        (Storyline.GROWING, 1.4, 5.0),
    ],
)
def test_a_storyline_shows_in_the_active_people(
    events: list[TimedEvent], storyline: Storyline, low: float, high: float
) -> None:
    account = next(each for each in roster(7) if each.storyline is storyline)

    late = active_user_days(events, account.account, 27, 0) / 4
    usual = active_user_days(events, account.account, 237, 120) / 17

    assert low <= late / usual <= high


def test_an_account_that_stopped_says_nothing_more(events: list[TimedEvent]) -> None:
    stopped = next(each for each in roster(7) if each.storyline is Storyline.SUDDEN_STOP)

    assert active_user_days(events, stopped.account, 11, 0) == 0
    assert active_user_days(events, stopped.account, 40, 14) > 10


def test_live_traffic_is_repeatable_ordered_and_keeps_silent_accounts_silent() -> None:
    first = list(islice(live_traffic(7, UNTIL_MS, 10.0), 2_500))
    again = list(islice(live_traffic(7, UNTIL_MS, 10.0), 2_500))
    silent = {each.account for each in roster(7) if each.storyline is Storyline.SUDDEN_STOP}

    assert first == again
    assert [event.at_ms for event in first] == sorted(event.at_ms for event in first)
    assert not silent & {event.call["context"]["groupId"] for event in first}


def test_somebody_becomes_unhappy_within_the_first_live_seconds() -> None:
    early = [event for event in islice(live_traffic(7, 0, 10.0), 400) if event.at_ms < 10_000]

    assert any(event.call.get("event") == "NPS Submitted" for event in early)


def test_whoever_states_a_country_keeps_its_holidays(events: list[TimedEvent]) -> None:
    countries = {each.account: each.country for each in roster(7) if each.country}
    last = UNTIL_MS // DAY_MS
    active: Counter[bool] = Counter()
    days: Counter[bool] = Counter()
    for account, country in countries.items():
        off = set(public_holidays.holidays(country))
        working = [day for day in range(last - 80, last) if day % 7 not in (2, 3)]
        days.update(day in off for day in working)
        seen = {e.at_ms // DAY_MS for e in events if e.call["context"]["groupId"] == account and "userId" in e.call}
        active.update(day in off for day in working if day in seen)

    assert 30 < len(countries) < 60
    assert active[True] / days[True] < 0.6 * active[False] / days[False]


def test_records_of_an_account_have_an_author_and_no_user(events: list[TimedEvent]) -> None:
    recorded = [event.call for event in events if "userId" not in event.call]

    assert {call["event"] for call in recorded} == {
        "Customer Contacted", "Note Added", "Goal Set", "Account Handed Over", "Planned Absence",
    }  # fmt: skip
    assert all(call["properties"]["author"] for call in recorded)


def test_agents_take_over_what_people_of_one_account_did(events: list[TimedEvent]) -> None:
    by_agents = [event for event in events if event.call["context"].get("actor") == "agent"]
    moved = next(each.account for each in roster(7) if each.storyline is Storyline.MOVED_TO_AGENTS)

    assert {event.call["context"]["groupId"] for event in by_agents} == {moved}
    assert {(UNTIL_MS // DAY_MS - event.at_ms // DAY_MS) < 62 for event in by_agents} == {True}


def test_strays_are_refused_or_of_nobody_and_both_come_within_the_first_seconds() -> None:
    early = list(islice(stray_traffic(7, UNTIL_MS), 6))
    request = Request("app", "production", UNTIL_MS + 60_000)
    refused = []
    for event in [*early, *(TimedEvent(UNTIL_MS, {"userId": "u", "messageId": "m", **call}) for call in REFUSED)]:
        try:
            admitted = admit(msgspec.json.encode(event.call), request, rules(), str)
        except Rejected as error:
            refused.append(error.code)
        else:
            assert not admitted.event["account"]

    assert early[-1].at_ms - UNTIL_MS < 10_000
    assert 0 < len(refused) - len(REFUSED) < len(early)
    assert {"missing_field", "wrong_type", "invalid_timestamp", "unknown_type", "timestamp_in_future"} <= set(refused)


def test_four_customers_give_a_low_survey_answer_in_the_first_two_minutes_as_the_readme_says(
    project_root: Path,
) -> None:
    sent = [call for at_ms, call in islice(live_traffic(7, UNTIL_MS, 8.0), 2_000) if at_ms <= UNTIL_MS + 121_000]
    answers = [call for call in sent if call.get("event") == "NPS Submitted" and call["properties"]["score"] <= 6]
    accounts = [call["context"]["groupId"] for call in answers]

    assert (len(accounts), len(set(accounts))) == (4, 4)
    assert "four of the sixty customers give a low survey answer" in (project_root / "README.md").read_text("utf-8")
