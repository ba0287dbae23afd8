"""What every store of the warehouse keeps: the same questions, the same answers, in memory and in ClickHouse."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from schemas import codec
from schemas.measures import numbered
from services.shared.errors import Fatal
from services.shared.units import DAY_MS
from services.warehouse.clickhouse import open_embedded, open_server
from services.warehouse.domain.filters import AccountFilter, EventCursor, EventFilter, SignalFilter
from services.warehouse.domain.rows import TABLE_OF_TOPIC, Place, Row, forgotten, row
from services.warehouse.memory import MemoryStore
from services.warehouse.migrations import migrate
from services.warehouse.ports import Store, StoreFull

T0 = 1_764_547_200_000  # 2025-12-01, midnight UTC


@pytest.fixture(params=["memory", "embedded", *(["server"] if os.environ.get("CLICKHOUSE_URL") else [])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "embedded":
        opened = open_embedded(tmp_path / "clickhouse", "tidemark")
    else:
        opened = open_server(os.environ["CLICKHOUSE_URL"], f"contract_{uuid.uuid4().hex}")
    yield opened
    opened.close()


def example(path: str, **changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((codec.ROOT / path).read_text("utf-8"))
    return codec.decode(codec.encoder(path.split("/", maxsplit=1)[0])({**value, **changes}))[1]


def event(offset: int, event_id: str, *, partition: int = 0, topic: str = "usage-events", **changes: Any) -> Row:
    value = example("usage_event/examples/track.json", event_id=event_id, **changes)
    made = row(Place(topic, partition, offset, T0 + offset), "usage_event", value)
    assert made is not None
    return made


def health(offset: int, account: str, **changes: Any) -> Row:
    value = example("account_health/examples/red.json", account=account, **changes)
    made = row(Place("account-health", 0, offset, T0 + offset), "account_health", value)
    assert made is not None
    return made


def signal(offset: int, account: str, rule: str, number: int, transition: str, **changes: Any) -> Row:
    episode = f"{account}/{rule}/{T0}"
    value = example(
        "signal/examples/usage_decline_firing.json",
        **{
            "account": account,
            "rule": rule,
            "episode_id": episode,
            "signal_id": f"{episode}/{number}",
            "transition": transition,
            "transition_number": number,
            "at": T0 + number * DAY_MS,
            **changes,
        },
    )
    made = row(Place("risk-signals", 1, offset, T0 + offset), "signal", value)
    assert made is not None
    return made


def test_an_empty_store_answers_every_question_with_nothing(store: Store) -> None:
    assert store.positions() == {}
    assert store.accounts(AccountFilter()) == []
    assert store.latest("acme") is None
    assert store.history("acme", 10) == []
    assert store.account_days("acme", 10) == []
    assert store.events(EventFilter("acme")) == []
    assert store.signals(SignalFilter()) == []
    assert store.totals() == []


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


def test_rows_that_are_stored_again_are_found_once(store: Store) -> None:
    rows = [event(n, f"e{n}") for n in range(20)]
    store.insert("events", rows)
    store.insert("events", rows[10:])
    store.insert("events", rows)

    assert len(store.events(EventFilter("acme"))) == 20
    assert [(d["events"], d["active_users"]) for d in store.account_days("acme", 5)] == [(20, 1)]


def test_a_client_retry_is_stored_and_the_first_on_the_log_is_found(store: Store) -> None:
    store.insert("events", [event(8, "a", properties='{"n":2}')])
    store.insert("events", [event(7, "a", properties='{"n":1}', occurred_at=T0), event(9, "b")])

    found = {e["event_id"]: e for e in store.events(EventFilter("acme"))}

    assert sorted(found) == ["a", "b"]
    assert found["a"]["offset"] == 7
    assert found["a"]["properties"] == '{"n":1}'


def test_the_same_id_of_another_source_or_account_is_another_event(store: Store) -> None:
    store.insert("events", [event(1, "a"), event(2, "a", source="server"), event(3, "a", account="globex")])

    assert len(store.events(EventFilter("acme"))) == 2
    assert len(store.events(EventFilter("globex"))) == 1


def test_an_event_comes_back_with_every_field_and_its_place(store: Store) -> None:
    value = example("usage_event/examples/page.json", account="o'neil \\ {x:String}\0\n", skew_ms=-1, epoch=7)
    made = row(Place("usage-unattributed", 2, 11, T0), "usage_event", value)
    assert made is not None
    store.insert("events", [made])
    del value["accepted_by"]  # which ingest it was is for the log alone

    assert store.events(EventFilter(value["account"])) == [
        {"topic": "usage-unattributed", "partition": 2, "offset": 11, **value}
    ]


def test_events_come_latest_first_and_are_filtered_by_name_and_time(store: Store) -> None:
    store.insert("events", [event(n, f"e{n}", name=f"n{n % 2}", occurred_at=T0 + n) for n in range(10)])

    found = store.events(EventFilter("acme", name="n1", before=T0 + 7, limit=2))

    assert [e["event_id"] for e in found] == ["e5", "e3"]


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
    whole = store.events(EventFilter("acme"))
    paged: list[dict[str, Any]] = []
    while len(paged) < len(whole):
        last = EventCursor.of(paged[-1]) if paged else None
        page = store.events(EventFilter("acme", after=last, limit=3))
        assert page
        paged += page

    assert len(whole) == 22
    assert paged == whole
    assert store.events(EventFilter("acme", after=EventCursor.of(whole[-1]))) == []


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
        ],
    )

    assert store.account_days("acme", 5) == [
        {"day": T0 // DAY_MS + 1, "events": 1, "active_users": 0},
        {"day": T0 // DAY_MS, "events": 3, "active_users": 2},
    ]


def test_a_nonsense_time_does_not_stop_a_batch(store: Store) -> None:
    store.insert("events", [event(1, "a", occurred_at=-(2**63)), event(2, "b", occurred_at=2**63 - 1), event(3, "c")])

    assert [e["event_id"] for e in store.events(EventFilter("acme"))] == ["b", "c", "a"]


def test_the_latest_snapshot_of_each_account_is_listed(store: Store) -> None:
    store.insert("account_health", [health(1, "acme", score_tenths=100), health(2, "globex", score_tenths=500)])
    store.insert("account_health", [health(3, "acme", score_tenths=900, previous_score_tenths=100, band="GREEN")])

    found = store.accounts(AccountFilter())

    assert [(a["account"], a["score_tenths"], a["band"]) for a in found] == [
        ("globex", 500, "RED"),
        ("acme", 900, "GREEN"),
    ]
    assert found[0]["at"] == T0
    latest = store.latest("acme")
    assert latest is not None
    assert latest["score_tenths"] == 900
    assert latest["measures"]["level_4w"] == 0.302663


def test_a_forgotten_account_is_listed_no_more_and_keeps_its_past_until_it_is_heard_of_again(store: Store) -> None:
    store.insert("account_health", [health(1, "acme"), health(2, "globex")])
    store.insert("account_health", [forgotten(Place("account-health", 0, 3, T0), "acme")])

    assert [a["account"] for a in store.accounts(AccountFilter())] == ["globex"]
    assert [a["account"] for a in store.accounts(AccountFilter(band="RED"))] == ["globex"]
    assert store.latest("acme") is None
    assert [s["account"] for s in store.history("acme", 5)] == ["acme"]
    assert store.positions() == {("account-health", 0): 4}

    store.insert("account_health", [health(4, "acme", sequence=1, band="GREEN", score_tenths=800)])

    assert [a["account"] for a in store.accounts(AccountFilter())] == ["globex", "acme"]
    latest = store.latest("acme")
    assert latest is not None
    assert latest["sequence"] == 1


@pytest.mark.parametrize(("descending", "judged"), [(False, ["worst", "best"]), (True, ["best", "worst"])])
def test_accounts_of_which_too_little_is_known_come_after_all_scores(
    store: Store, descending: bool, judged: list[str]
) -> None:
    store.insert(
        "account_health",
        [
            health(1, "best", score_tenths=900, band="GREEN"),
            health(2, "new", score_tenths=0, coverage=0.0, band="LEARNING"),
            health(3, "worst", score_tenths=100),
            health(4, "unknown", score_tenths=1000, coverage=0.1, band="UNKNOWN"),
        ],
    )

    found = [a["account"] for a in store.accounts(AccountFilter(descending=descending))]

    assert found[:2] == judged
    assert set(found[2:]) == {"new", "unknown"}
    assert [a["account"] for a in store.accounts(AccountFilter(band="UNKNOWN"))] == ["unknown"]


def test_a_fact_that_was_removed_is_not_taken_from_an_older_snapshot(store: Store) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store.insert("account_health", [health(1, "acme"), health(2, "acme", facts={**facts, "revenue": None})])

    assert store.accounts(AccountFilter())[0]["revenue"] is None


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("score", False, ["b", "a", "c"]),
        ("score", True, ["c", "a", "b"]),
        ("account", True, ["c", "b", "a"]),
        ("revenue", True, ["a", "b", "c"]),
        ("renewal", False, ["b", "a", "c"]),
        ("change", False, ["c", "b", "a"]),
        ("silent", True, ["a", "b", "c"]),
    ],
)
def test_accounts_are_sorted(store: Store, sort: str, descending: bool, expected: list[str]) -> None:
    base = example("account_health/examples/red.json")

    def one(offset: int, account: str, score: int, before: int | None, silent: int, **facts: Any) -> Row:
        return health(
            offset,
            account,
            score_tenths=score,
            previous_score_tenths=before,
            measures=numbered({"silent_days": float(silent)}),
            facts={**base["facts"], **facts},
        )

    store.insert(
        "account_health",
        [
            one(1, "a", 500, 400, 9, revenue=10.0, renewal_day=20_500),
            one(2, "b", 100, None, 5, revenue=5.0, renewal_day=20_400),
            one(3, "c", 900, 950, 1, revenue=None, renewal_day=None),
        ],
    )

    assert [a["account"] for a in store.accounts(AccountFilter(sort=sort, descending=descending))] == expected


def test_accounts_are_filtered_and_paged(store: Store) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store.insert("account_health", [health(n, f"a{n}", score_tenths=n) for n in range(5)])
    store.insert("account_health", [health(9, "other", band="GREEN", facts={**facts, "owner": "lee"})])

    assert [a["account"] for a in store.accounts(AccountFilter(band="RED", limit=2, offset=1))] == ["a1", "a2"]
    assert [a["account"] for a in store.accounts(AccountFilter(owner="lee"))] == ["other"]


def test_history_has_the_last_snapshot_of_each_day(store: Store) -> None:
    store.insert(
        "account_health",
        [health(n, "acme", day=100 + n // 2, sequence=n, score_tenths=n) for n in range(6)] + [health(9, "globex")],
    )

    assert [(s["day"], s["score_tenths"]) for s in store.history("acme", 2)] == [(102, 5), (101, 3)]


def test_signals_come_latest_first_and_each_transition_once(store: Store) -> None:
    store.insert(
        "signals", [signal(1, "acme", "usage_decline", 1, "FIRING"), signal(2, "acme", "usage_silent", 2, "FIRING")]
    )
    store.insert("signals", [signal(5, "acme", "usage_decline", 1, "FIRING")])

    assert [(s["rule"], s["transition_number"]) for s in store.signals(SignalFilter())] == [
        ("usage_silent", 2),
        ("usage_decline", 1),
    ]


def test_open_signals_are_the_last_transitions_of_unresolved_episodes(store: Store) -> None:
    store.insert(
        "signals",
        [
            signal(1, "acme", "usage_decline", 1, "FIRING"),
            signal(2, "acme", "usage_decline", 2, "UPDATED"),
            signal(3, "globex", "usage_decline", 1, "FIRING"),
            signal(4, "globex", "usage_decline", 2, "RESOLVED"),
        ],
    )

    assert [(s["account"], s["transition"]) for s in store.signals(SignalFilter(open_only=True))] == [
        ("acme", "UPDATED")
    ]


@pytest.mark.parametrize(
    ("wanted", "rules"),
    [
        (SignalFilter(account="globex"), ["seat_saturation"]),
        (SignalFilter(rule="usage_decline"), ["usage_decline"]),
        (SignalFilter(category="EXPANSION"), ["seat_saturation"]),
        (SignalFilter(severity="INFO"), ["seat_saturation"]),
        (SignalFilter(owner="lee"), ["seat_saturation"]),
        (SignalFilter(historical=True), ["usage_decline"]),
        (SignalFilter(historical=False), ["seat_saturation"]),
        (SignalFilter(limit=1, offset=1), ["usage_decline"]),
    ],
)
def test_signals_are_filtered(store: Store, wanted: SignalFilter, rules: list[str]) -> None:
    store.insert(
        "signals",
        [
            signal(1, "acme", "usage_decline", 1, "FIRING", historical=True),
            signal(2, "globex", "seat_saturation", 2, "FIRING", category="EXPANSION", severity="INFO", owner="lee"),
        ],
    )

    assert [s["rule"] for s in store.signals(wanted)] == rules


def test_totals_tell_records_from_what_is_unique_among_them(store: Store) -> None:
    store.insert("events", [event(1, "a"), event(2, "a"), event(3, "b"), event(1, "a", topic="usage-unattributed")])
    store.insert("events", [event(3, "b")])
    store.insert("account_health", [health(1, "acme"), health(2, "acme")])
    store.insert("signals", [signal(1, "acme", "usage_decline", 1, "FIRING"), signal(2, "acme", "x", 1, "FIRING")])

    assert store.totals() == [
        {"topic": "account-health", "rows": 2, "unique": 2},
        {"topic": "risk-signals", "rows": 2, "unique": 2},
        {"topic": "usage-events", "rows": 3, "unique": 2},
        {"topic": "usage-unattributed", "rows": 1, "unique": 1},
    ]


def test_an_embedded_store_keeps_its_rows_when_it_is_opened_again(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark")
    store.insert("events", [event(1, "a")])
    store.close()

    store = open_embedded(tmp_path / "ch", "tidemark")
    try:
        assert len(store.events(EventFilter("acme"))) == 1
        assert store.positions() == {("usage-events", 0): 2}
    finally:
        store.close()


def test_a_second_process_on_the_same_folder_is_told_so(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark")
    program = (
        "import sys, pathlib\nfrom services.warehouse.clickhouse import open_embedded\n"
        "open_embedded(pathlib.Path(sys.argv[1]), 'tidemark')"
    )
    try:
        second = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "ch")], capture_output=True, text=True, check=False
        )
    finally:
        store.close()

    assert second.returncode != 0
    assert "another process has it open" in second.stderr.splitlines()[-1]


def test_a_migration_that_changed_after_it_was_applied_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_embedded(tmp_path / "ch", "tidemark").close()
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_events.sql").write_text("SELECT 1;\n")
    monkeypatch.setattr(migrate, "__defaults__", (folder,))

    with pytest.raises(Fatal, match=r"0001_events.sql has changed"):
        open_embedded(tmp_path / "ch", "tidemark")


@pytest.mark.parametrize("statement", [2, 3, 6])
def test_a_start_that_failed_amid_the_migrations_is_made_up_for_by_the_next(tmp_path: Path, statement: int) -> None:
    class Fails:
        """A client whose nth statement is run, and its answer lost."""

        def __init__(self, client: Any) -> None:
            self._client = client
            self._left = statement
            self.query, self.insert = client.query, client.insert

        def command(self, cmd: str) -> None:
            self._client.command(cmd)
            self._left -= 1
            if not self._left:
                raise ConnectionError

    client = clickhouse_connect.get_client(interface="chdb", path=str(tmp_path / "ch"))
    client.command("CREATE DATABASE tidemark")
    client.database = "tidemark"
    client.command("USE tidemark")
    with pytest.raises(ConnectionError):
        migrate(Fails(client))
    client.close()

    store = open_embedded(tmp_path / "ch", "tidemark")
    try:
        store.insert("events", [event(1, "a")])
        assert len(store.events(EventFilter("acme"))) == 1
    finally:
        store.close()


def test_every_topic_of_the_warehouse_has_a_table_in_both_stores(store: Store) -> None:
    for table in sorted(set(TABLE_OF_TOPIC.values())):
        store.insert(table, [])


def test_a_disk_without_room_is_said_to_be_full(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    try:
        store._writer.command(
            "ALTER TABLE events MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000"
        )

        with pytest.raises(StoreFull, match="the disk of the store is full"):
            store.insert("events", [event(1, "a")])
    finally:
        store.close()
