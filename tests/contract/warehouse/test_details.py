"""What is kept for some weeks alone: the details of events, and who is behind a pseudonym. In both stores."""

from dataclasses import replace
from typing import Any

from services.shared.units import DAY_MS
from services.warehouse.domain import people
from services.warehouse.domain.filters import EventFilter, PeopleFilter
from services.warehouse.domain.ordering import place
from services.warehouse.domain.rows import Place, Row, row
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, event, example


def details(offset: int, event_id: str, **changes: Any) -> Row:
    value = example("event_details/examples/track.json", event_id=event_id, **changes)
    made = row(Place("usage-details", 0, offset, T0 + offset), "event_details", value)
    assert made is not None
    return made


def test_what_an_event_holds_beyond_the_long_log_is_found_by_its_id(store: Store) -> None:
    store.insert("event_details", [details(1, "a"), details(2, "b", source="server"), details(3, "a", extra='{"n":2}')])
    store.insert("event_details", [details(1, "a")])

    found = store.details(["a", "none"])

    assert [each["extra"] for each in found] == [example("event_details/examples/track.json")["extra"]]
    assert found[0]["user_id"] == "kim"
    assert store.details([]) == []
    assert store.positions() == {("usage-details", 0): 4}


def test_an_event_has_the_details_of_its_own_person_though_another_used_its_id(store: Store) -> None:
    kim, lee = "u_5pQ0m2c9XbT1r8sZk4Yw", "u_Jd03hHq8vRk2L5nW7xAe"
    before = {"account": "", "user_id": ""}
    store.insert("events", [event(1, "a", user=kim), event(2, "b", user=kim), event(3, "c", user=lee, via="USER")])
    store.insert(
        "event_details",
        [
            details(1, "a", user=lee, user_id="lee", account=""),
            details(2, "a", user=lee, user_id="lee"),
            details(3, "a", user=kim, user_id="kim-of-staging", environment="staging"),
            details(4, "a", user=kim, user_id="kim"),
            details(5, "b", user=lee, user_id="lee", account=""),
            details(6, "c", **before, user="u_other", anonymous_id="other", received_at=T0),
            details(7, "c", **before, user="u_former", anonymous_id="browser"),
        ],
    )

    page = store.events(EventFilter("acme", limit=10))
    beyond = people.by_event(store.details(["a", "b", "c"]))

    found = {each["event_id"]: people.of(each, beyond) for each in page.rows}
    assert found["a"] is not None
    assert found["a"]["user_id"] == "kim"
    assert found["b"] is None
    assert found["c"] is not None
    assert found["c"]["anonymous_id"] == "browser"


def test_pseudonyms_are_resolved_as_long_as_the_person_is_known(store: Store) -> None:
    kim, lee = "u_5pQ0m2c9XbT1r8sZk4Yw", "u_Jd03hHq8vRk2L5nW7xAe"
    store.insert("event_details", [details(1, "a", user=kim), details(2, "b", user=lee, user_id="")])
    store.insert("event_details", [details(3, "c", user=kim)])

    assert store.people([kim, lee, "u_none"]) == {kim: "kim"}
    assert store.people([]) == {}


def test_people_of_an_account_come_latest_active_first(store: Store) -> None:
    today = T0 // DAY_MS
    active = {"kim": (0, 3, 3, 40), "lee": (1, 250), "old": (300,), "one": (0,)}
    store.insert(
        "events",
        [
            event(ord(user[0]) * 9 + n, f"{user}{n}", user=user, occurred_at=(today - days) * DAY_MS + n)
            for user, all_days in active.items()
            for n, days in enumerate(all_days)
        ]
        + [
            event(2000, "test", user="test", environment="staging", occurred_at=T0),
            event(2004, "agent", user="agent", actor="AGENT", occurred_at=T0),
            event(2001, "staff", user="staff", internal=True, occurred_at=T0),
            event(2002, "nobody", user="", occurred_at=T0),
            event(2003, "other", user="other", account="globex", occurred_at=T0),
        ],
    )
    wanted = PeopleFilter("acme", today, days=210)

    found = store.account_people(wanted)

    assert found.total == 3
    assert found.rows[0] == {
        "user": "kim",
        "first_active_day": today - 40,
        "last_active_day": today,
        "active_days": 3,
        "active_days_28": 2,
    }
    assert [row["user"] for row in found.rows] == ["kim", "one", "lee"]
    following = store.account_people(replace(wanted, after=place(wanted.order, found.rows[0]), limit=1))
    assert (following.total, [row["user"] for row in following.rows]) == (3, ["one"])
    assert [row["user"] for row in store.account_people(replace(wanted, until_day=today - 1)).rows] == ["lee", "kim"]
