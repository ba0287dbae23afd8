"""What every store of the warehouse keeps: the same questions, the same answers, in memory and in ClickHouse."""

import time
from typing import Any

import pytest

from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.clickhouse import queries
from services.warehouse.domain.filters import AccountFilter, EventFilter, PeopleFilter, SignalFilter
from services.warehouse.domain.ordering import EVENTS, place
from services.warehouse.domain.rows import TABLE_OF_TOPIC, Place, row
from services.warehouse.memory.store import MemoryStore
from services.warehouse.ports import Days, Store
from tests.contract.warehouse.stored import T0, event, example, health, signal


def test_an_empty_store_answers_every_question_with_nothing(store: Store) -> None:
    assert store.positions() == {}
    assert store.accounts(AccountFilter()).rows == []
    assert store.latest("acme") is None
    assert store.history("acme", 10) == []
    assert store.account_days("acme", 0) == Days([], exact=True)
    assert store.events(EventFilter("acme")).rows == []
    assert list(store.past()) == []
    assert store.signals(SignalFilter()).rows == []
    assert store.totals() == []
    assert store.newest() is None
    assert store.bands(20_000, 3, ()) == []
    assert store.changes(20_000, ()) == []
    assert store.account_people(PeopleFilter("acme", 20_000)).rows == []
    assert store.arrivals(0) == []
    assert store.open_signals(["acme"]) == []
    assert store.transitions(0, ()) == {}


def test_positions_are_one_after_the_largest_offset_of_each_partition(store: Store) -> None:
    store.insert("events", [event(5, "a"), event(6, "b"), event(2, "c", partition=3)])
    store.insert("account_health", [health(9, "acme")])

    assert store.positions() == {("usage-events", 0): 7, ("usage-events", 3): 3, ("account-health", 0): 10}


def test_a_noted_position_counts_where_it_is_further_on_than_the_rows(store: Store) -> None:
    store.insert("events", [event(5, "a")])

    store.note_positions({("usage-events", 0): 90, ("fleet", 1): 4})
    store.note_positions({("usage-events", 0): 80})
    store.insert("events", [event(91, "b", partition=0)])

    assert store.positions() == {("usage-events", 0): 92, ("fleet", 1): 4}


def test_the_id_of_a_topic_that_was_noted_last_is_the_one_that_is_known(store: Store) -> None:
    assert store.sources() == {}

    store.note_sources({"usage-events": "a" * 32, "account-health": "b" * 32})
    store.note_sources({"usage-events": "c" * 32})
    store.note_sources({})

    assert store.sources() == {"usage-events": "c" * 32, "account-health": "b" * 32}


def test_rows_that_are_stored_again_are_found_once(store: Store) -> None:
    rows = [event(n, f"e{n}") for n in range(20)]
    store.insert("events", rows)
    store.insert("events", rows[10:])
    store.insert("events", rows)

    assert len(store.events(EventFilter("acme")).rows) == 20
    assert [(d["events"], d["active_users"]) for d in store.account_days("acme", 0).rows] == [(20, 1)]


def test_a_client_retry_is_stored_and_the_first_on_the_log_is_found(store: Store) -> None:
    store.insert("events", [event(8, "a", properties='{"n":2}')])
    store.insert("events", [event(7, "a", properties='{"n":1}', occurred_at=T0), event(9, "b")])

    found = {e["event_id"]: e for e in store.events(EventFilter("acme")).rows}

    assert sorted(found) == ["a", "b"]
    assert found["a"]["offset"] == 7
    assert found["a"]["properties"] == '{"n":1}'


def test_the_same_id_of_another_source_or_account_is_another_event(store: Store) -> None:
    store.insert(
        "events",
        [
            event(1, "a"),
            event(2, "a", source="server"),
            event(3, "a", account="globex"),
            event(4, "a", environment="staging"),
        ],
    )
    assert [each["environment"] for each in store.events(EventFilter("acme")).rows].count("staging") == 1
    store.insert("events", [event(5, "a", account="", user="u_one"), event(6, "a", account="", user="u_two")])
    assert len(store.events(EventFilter("")).rows) == 2

    assert len(store.events(EventFilter("acme")).rows) == 3
    assert len(store.events(EventFilter("globex")).rows) == 1


def test_an_event_comes_back_with_every_field_and_its_place(store: Store) -> None:
    value = example("usage_event/examples/page.json", account="o'neil \\ {x:String}\0\n", skew_ms=-1, epoch=7)
    made = row(Place("usage-unattributed", 2, 11, T0), "usage_event", value)
    assert made is not None
    store.insert("events", [made])
    for name in ("accepted_by", "forwards", "authority"):  # of which ingest and key, and its way: for the log alone
        del value[name]

    assert store.events(EventFilter(value["account"])).rows == [
        {"topic": "usage-unattributed", "partition": 2, "offset": 11, **value}
    ]


def test_events_come_latest_first_and_are_filtered_by_names_and_time(store: Store) -> None:
    store.insert("events", [event(n, f"e{n}", name=f"n{n % 3}", occurred_at=T0 + n) for n in range(10)])

    assert _ids(store, EventFilter("acme", names=("n1",), before=T0 + 7, limit=2)) == ["e4", "e1"]
    assert _ids(store, EventFilter("acme", names=("n1", "n2", "none"), limit=3)) == ["e8", "e7", "e5"]


def test_events_are_filtered_by_kind(store: Store) -> None:
    store.insert("events", [event(n, f"e{n}", kind=("PAGE", "TRACK", "SCREEN")[n % 3], name="Lost") for n in range(6)])

    assert _ids(store, EventFilter("acme", names=("Lost",), kinds=("PAGE", "SCREEN"))) == ["e5", "e3", "e2", "e0"]
    assert store.events(EventFilter("acme", kinds=("TRACK",), limit=1)).total == 2


def _ids(store: Store, wanted: EventFilter) -> list[str]:
    return [event["event_id"] for event in store.events(wanted).rows]


def test_events_of_one_moment_are_paged_without_a_gap_or_a_repetition(store: Store) -> None:
    store.insert(
        "events",
        [
            event(n, f"{topic}{partition}{n}", topic=topic, partition=partition, occurred_at=T0)
            for topic in ("usage-events", "usage-unattributed")
            for partition in (9, 10)
            for n in (8, 9, 10, 99, 100)
        ]
        + [event(200, "before", occurred_at=T0 - 1), event(201, "after", occurred_at=T0 + 1)],
    )
    whole = store.events(EventFilter("acme")).rows
    paged: list[dict[str, Any]] = []
    while len(paged) < len(whole):
        last = place(EVENTS, paged[-1]) if paged else None
        page = store.events(EventFilter("acme", after=last, limit=3)).rows
        assert page
        paged += page

    assert len(whole) == 22
    assert paged == whole
    assert store.events(EventFilter("acme", after=place(EVENTS, whole[-1]))).rows == []


def test_days_count_production_events_with_an_account_and_people_once(store: Store) -> None:
    store.insert(
        "events",
        [
            event(1, "a", user="u1", occurred_at=T0),
            event(2, "b", user="u1", occurred_at=T0 + 5),
            event(3, "c", user="u2", occurred_at=T0 + DAY_MS - 1),
            event(4, "d", user="", occurred_at=T0 + DAY_MS),
            event(5, "e", user="u3", occurred_at=T0, environment="staging"),
            event(6, "f", topic="usage-unattributed"),
            event(7, "g", user="u4", occurred_at=T0, actor="AGENT"),
            event(8, "h", user="u5", occurred_at=T0, actor="INTEGRATION"),
        ],
    )

    assert store.account_days("acme", 0).rows == [
        {"day": T0 // DAY_MS + 1, "events": 1, "active_users": 0},
        {"day": T0 // DAY_MS, "events": 5, "active_users": 2},
    ]


def test_a_job_that_identifies_everybody_at_night_makes_nobody_active(store: Store) -> None:
    used = event(1, "a", user="u1", occurred_at=T0, kind="SCREEN")
    said = [
        event(2 + n, kind, user="u2", occurred_at=T0, kind=kind)
        for n, kind in enumerate(["IDENTIFY", "GROUP", "ALIAS"])
    ]
    store.insert("events", [used, *said])

    assert store.account_days("acme", 0).rows == [{"day": T0 // DAY_MS, "events": 1, "active_users": 1}]
    people = store.account_people(PeopleFilter("acme", T0 // DAY_MS, days=900))
    assert [each["user"] for each in people.rows] == ["u1"]


@pytest.mark.parametrize(
    "name", ["Invoice Paid", "Ticket Opened", "Ticket Closed", "NPS Submitted", "Note Added", "Account Lost"]
)
def test_what_the_plan_does_not_count_as_use_makes_no_day_and_nobody_active(store: Store, name: str) -> None:
    used = event(1, "a", user="u1", occurred_at=T0)
    store.insert(
        "events", [used, *(event(2 + n, f"e{n}", user="u2", occurred_at=T0 + n * DAY_MS, name=name) for n in range(3))]
    )

    assert store.account_days("acme", 0).rows == [{"day": T0 // DAY_MS, "events": 1, "active_users": 1}]
    people = store.account_people(PeopleFilter("acme", T0 // DAY_MS + 9, days=900))
    assert [each["user"] for each in people.rows] == ["u1"]
    assert [each["use"] for each in store.events(EventFilter("acme", names=(name,))).rows] == [False] * 3


def test_of_two_with_one_id_the_first_says_whether_it_is_use(store: Store) -> None:
    """A plan that changes between an event and its repetition makes them differ."""
    store.insert("events", [event(1, "a", occurred_at=T0, use=False), event(2, "a", occurred_at=T0, use=True)])
    store.insert("events", [event(3, "b", occurred_at=T0, use=True), event(4, "b", occurred_at=T0, use=False)])

    assert [each["events"] for each in store.account_days("acme", 0).rows] == [1]


def test_the_past_is_all_that_the_scorer_takes_once_by_account_in_the_order_in_which_it_happened(store: Store) -> None:
    store.insert("events", [event(1, "late", occurred_at=T0 + 9), event(2, "early", occurred_at=T0, account="globex")])
    store.insert("events", [event(7, "first", occurred_at=T0 + 3)])
    store.insert("events", [event(3, "late", occurred_at=T0 + 9), event(4, "test", environment="staging")])
    store.insert("events", [event(5, "x", topic="usage-unattributed", account="")])
    store.insert("events", [event(6, "staff", internal=True, occurred_at=T0 + 99)])

    found = list(store.past())

    assert [(e["account"], e["event_id"], e["occurred_at"], e["internal"]) for e in found] == [
        ("acme", "first", T0 + 3, False),
        ("acme", "late", T0 + 9, False),
        ("acme", "staff", T0 + 99, True),
        ("globex", "early", T0, False),
    ]
    assert {"user", "kind", "name", "source", "properties", "environment", "internal", "actor"} <= found[0].keys()
    assert {"received_at", "historical"} <= found[0].keys()


def test_a_past_that_is_fetched_in_parts_is_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = ["acme", "brio", "cato", "dune", "über"]
    sent = [event(n, f"e{n}", account=accounts[n % 5], occurred_at=T0 - 7 * n) for n in range(23)]
    store.insert("events", [*sent, event(90, "e5", account="acme", occurred_at=T0 + 5)])
    whole = list(store.past())

    monkeypatch.setattr(queries, "PAST_ROWS", 10)

    assert list(store.past()) == whole
    assert [each["event_id"] for each in whole] == [f"e{n}" for a in range(5) for n in reversed(range(a, 23, 5))]


def test_a_nonsense_time_does_not_stop_a_batch(store: Store) -> None:
    store.insert("events", [event(1, "a", occurred_at=-(2**63)), event(2, "b", occurred_at=2**63 - 1), event(3, "c")])

    assert [e["event_id"] for e in store.events(EventFilter("acme")).rows] == ["b", "c", "a"]


def test_totals_tell_records_from_what_is_unique_among_them(store: Store) -> None:
    store.insert("events", [event(1, "a"), event(2, "a"), event(3, "b"), event(1, "a", topic="usage-unattributed")])
    store.insert("events", [event(3, "b")])
    store.insert("account_health", [health(1, "acme"), health(2, "acme")])
    store.insert("signals", [signal(1, "acme", "usage_decline", 1, "FIRING"), signal(2, "acme", "x", 1, "FIRING")])

    assert store.totals() == [
        {"topic": "account-health", "rows": 2, "unique": 2, "exact": True},
        {"topic": "risk-signals", "rows": 2, "unique": 2, "exact": True},
        {"topic": "usage-events", "rows": 3, "unique": 2, "exact": True},
        {"topic": "usage-unattributed", "rows": 1, "unique": 1, "exact": True},
    ]


def test_totals_of_large_tables_are_estimates_and_say_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_MOST_EXACT", 2)
    store.insert("events", [event(n, f"e{n % 3}") for n in range(6)])
    store.insert("account_health", [health(1, "acme")])

    health_total, events_total = store.totals()

    assert health_total == {"topic": "account-health", "rows": 1, "unique": 1, "exact": True}
    assert {**events_total, "exact": None} == {"topic": "usage-events", "rows": 6, "unique": 3, "exact": None}
    assert events_total["exact"] is isinstance(store, MemoryStore)  # which holds so few that it always counts


def test_every_topic_of_the_warehouse_has_a_table_in_both_stores(store: Store) -> None:
    for table in sorted(set(TABLE_OF_TOPIC.values())):
        store.insert(table, [])


def test_what_came_in_is_counted_by_the_hour(store: Store) -> None:
    now = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS
    store.insert(
        "events",
        [
            event(1, "a", name="A", received_at=now + 5),
            event(2, "b", name="B", received_at=now + 6),
            event(3, "b", name="B", received_at=now + 7),
            event(4, "c", name="A", received_at=now - 1),
            event(5, "d", name="A", received_at=now - 2 * HOUR_MS),
            event(6, "e", topic="usage-unattributed", account="", received_at=now),
        ],
    )
    store.insert("events", [event(1, "a", name="A", received_at=now + 5)])

    found = store.arrivals(now - HOUR_MS)

    assert [(each["topic"], each["hour"], each["name"], each["events"]) for each in found] == [
        ("usage-events", now, "B", 2),
        ("usage-events", now, "A", 1),
        ("usage-unattributed", now, "Report Exported", 1),
        ("usage-events", now - HOUR_MS, "A", 1),
    ]
    assert found[0].keys() == {"topic", "hour", "name", "source", "environment", "kind", "events"}


def test_activity_of_a_past_day_ends_with_it(store: Store) -> None:
    store.insert("events", [event(n, f"e{n}", occurred_at=T0 + n * DAY_MS) for n in range(3)])

    day = T0 // DAY_MS
    assert [each["day"] for each in store.account_days("acme", 0, until_day=day + 1).rows] == [day + 1, day]
    assert [each["day"] for each in store.account_days("acme", day + 2).rows] == [day + 2]


def test_a_page_of_events_is_full_however_many_repetitions_there_are(store: Store) -> None:
    rows = [event(n, f"e{n % 40}", occurred_at=T0 + n) for n in range(400)]  # only the first forty count
    store.insert("events", rows)
    store.insert("events", rows[30:50])  # and some of these stand there twice

    first = store.events(EventFilter("acme", limit=25))
    second = store.events(EventFilter("acme", limit=25, after=place(EVENTS, first.rows[-1])))

    assert [e["offset"] for e in first.rows + second.rows] == list(range(39, -1, -1))
    assert first.total == second.total == 40
