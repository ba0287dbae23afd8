"""One's own history, as the store has it."""

from typing import Any

import msgspec
import pytest

from schemas.measures import named
from services.alerter.domain.closing import ForgottenAccount
from services.backtest.driving import drive
from services.backtest.histories.own import read_warehouse
from services.shared.errors import Fatal
from services.shared.units import DAY_MS
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, event

DAYS = 30
NOW = T0 + DAYS * DAY_MS


def test_what_people_do_whom_the_plan_left_out_is_no_use_and_what_they_say_counts() -> None:
    seats: dict[str, Any] = {"kind": "GROUP", "name": "", "properties": msgspec.json.encode({"seats": 5}).decode()}
    lost: dict[str, Any] = {"name": "Account Lost", "properties": '{"date":"2025-12-20"}'}
    store = MemoryStore()
    for day in range(DAYS):
        at = T0 + day * DAY_MS
        for user, internal in (("ann", False), ("staff", True)):
            sent = event(10 * day + internal, f"{user}-{day}", user=user, internal=internal, occurred_at=at)
            store.insert("events", [sent])
    for number, changes in enumerate((seats, lost)):
        sent = event(900 + number, f"s{number}", user="staff", internal=True, occurred_at=NOW - DAY_MS, **changes)
        store.insert("events", [sent])

    history = read_warehouse(store, (), NOW)
    driven = drive(history)

    assert driven.activity.tolist() == [[1] * DAYS]
    last = list(driven.snapshots)[-1]
    assert not isinstance(last, ForgottenAccount)
    measures = named(last["measures"])
    assert (measures["active_users_28"], measures["events_28"], measures["seats"]) == (1, 28, 5)
    assert history.recorded == ()


def test_events_that_came_too_late_for_the_scorer_are_left_out_and_told() -> None:
    """A browser whose clock stands in 1980 would make the history begin there, with calls in vain spread over all these years."""
    store = MemoryStore()
    ages = {"today": 1, "late": 230, "reset": 16_000, "imported": 900}
    for offset, (account, days) in enumerate(ages.items()):
        at = NOW - days * DAY_MS
        sent = event(
            offset, account, account=account, occurred_at=at, received_at=NOW - DAY_MS, historical=account == "imported"
        )
        store.insert("events", [sent])

    history = read_warehouse(store, (), NOW)
    driven = drive(history)

    assert [each.account for each in history.read()] == ["imported", "late", "today"]
    assert driven.rejected == {"too_late": 1}
    assert driven.span.first_day == NOW // DAY_MS - 900


@pytest.mark.parametrize(
    "changes",
    [{"account": "globex"}, {"user": "bob"}, {"actor": "AGENT"}, {"internal": True}, {"properties": '{"a":1}'}],
)
def test_what_is_kept_of_a_history_is_not_taken_for_one_in_which_an_event_says_something_else(
    changes: dict[str, Any],
) -> None:
    """A file that is imported once more, with another column for the account, has the ids and times that it had."""

    def fingerprint(**said: Any) -> str:
        store = MemoryStore()
        store.insert("events", [event(0, "e0", occurred_at=T0, **said)])
        return read_warehouse(store, (), NOW).fingerprint

    assert fingerprint() == fingerprint()
    assert fingerprint(**changes) != fingerprint()


def test_events_of_today_are_left_out_and_told() -> None:
    store = MemoryStore()
    store.insert("events", [event(0, "before", occurred_at=NOW - DAY_MS), event(1, "today", occurred_at=NOW + 5)])

    history = read_warehouse(store, (), NOW + 9)

    assert ([each.event_id for each in history.read()], history.left_out) == (["before"], {"day_not_over": 1})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([], "no event of a production account:"),
        ([{"environment": "staging"}], "no event of a production account:"),
        ([{}, {}], "only 2 events of production accounts on days that are not over"),
        (
            [{}, {"occurred_at": T0 - 300 * DAY_MS}],
            "not over (UTC) and 1 event of production accounts that happened too",
        ),
    ],
    ids=["empty", "none of production", "all of today", "of today and too late"],
)
def test_a_history_of_nothing_says_what_there_is(changes: list[dict[str, Any]], told: str) -> None:
    store = MemoryStore()
    for offset, change in enumerate(changes):
        store.insert("events", [event(offset, f"e{offset}", **{"occurred_at": NOW, "received_at": NOW, **change})])

    with pytest.raises(Fatal, match="there is nothing to test on yet") as raised:
        read_warehouse(store, (), NOW + 9)

    assert told in str(raised.value)
