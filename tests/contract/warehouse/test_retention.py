"""Rows that are too old go, by when Kafka took them; in the embedded engine and on a server."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.domain.filters import EventFilter
from services.warehouse.domain.rows import Row
from services.warehouse.retention import keep_for
from services.warehouse.settings import RetentionSettings
from tests.contract.warehouse.people import details
from tests.contract.warehouse.stored import event, health, signal

DAY_MS = 86_400_000


@pytest.fixture(params=["embedded", "server"])
def clickhouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClickHouseStore]:
    if request.param == "server":
        store: ClickHouseStore = request.getfixturevalue("server_store")
        yield store
        keep_for(store._writer, RetentionSettings())
        for table in ("event_details", "people"):  # other tests store rows of the past
            store._writer.command(f"ALTER TABLE {table} REMOVE TTL")
        return
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    yield store
    store.close()


def aged(row: Row, days: float) -> Row:
    """Return a row that Kafka took so many days ago."""
    return (*row[:3], time.time_ns() // 1_000_000 - int(days * DAY_MS), *row[4:])


def merged(store: ClickHouseStore, *tables: str) -> dict[str, int]:
    """Return the rows of tables once the engine has merged them, as it does by itself now and then."""
    for table in tables:
        store._writer.command(f"OPTIMIZE TABLE {table} FINAL")
    return {table: store._writer.query(f"SELECT count() FROM {table}").result_rows[0][0] for table in tables}


def fill(store: ClickHouseStore, days: float) -> None:
    offset = int(days * 10)
    happened = time.time_ns() // 1_000_000 - int(days * DAY_MS)
    store.insert("events", [aged(event(offset, f"e{days}", occurred_at=happened), days)])
    store.insert("event_details", [aged(details(offset, f"u_of_{days}", f"id of {days}"), days)])
    store.insert("account_health", [aged(health(offset, "acme"), days)])
    store.insert("signals", [aged(signal(offset, "acme", "nps", 1, "FIRING"), days)])


def test_details_and_names_of_people_go_after_thirty_days_and_the_rest_stays(clickhouse: ClickHouseStore) -> None:
    for days in (1, 29, 31, 300):
        fill(clickhouse, days)

    clickhouse.keep_for(RetentionSettings())

    counts = merged(clickhouse, "events", "event_details", "people", "account_health", "signals")
    assert counts == {"events": 4, "event_details": 2, "people": 2, "account_health": 4, "signals": 4}
    assert set(clickhouse.people([f"u_of_{days}" for days in (1, 29, 31, 300)])) == {"u_of_1", "u_of_29"}
    assert [each["event_id"] for each in clickhouse.events(EventFilter("acme", limit=9)).rows] != []


def test_each_table_has_a_setting_of_its_own(clickhouse: ClickHouseStore) -> None:
    for days in (1, 50, 150, 250):
        fill(clickhouse, days)

    clickhouse.keep_for(RetentionSettings(details_days=20, events_days=100, health_days=200, signals_days=300))

    tables = (
        "events", "account_user_days", "account_event_days", "event_details", "account_health", "account_health_states",
        "signals", "signal_episodes",
    )  # fmt: skip
    assert merged(clickhouse, *tables) == {
        "events": 2, "account_user_days": 2, "account_event_days": 2, "event_details": 1, "account_health": 3, "account_health_states": 1, "signals": 4, "signal_episodes": 1,
    }  # fmt: skip


def test_a_setting_that_did_not_change_starts_no_work(clickhouse: ClickHouseStore) -> None:
    settings = RetentionSettings(events_days=100)

    first = keep_for(clickhouse._writer, settings)

    assert first["events"] == 100
    assert keep_for(clickhouse._writer, settings) == {}
    changed = keep_for(clickhouse._writer, RetentionSettings())
    assert changed == {"events": None, "account_event_days": None, "account_user_days": None}
    fill(clickhouse, 300)
    assert merged(clickhouse, "events") == {"events": 1}


def test_positions_outlive_what_retention_deletes(clickhouse: ClickHouseStore) -> None:
    fill(clickhouse, 300)
    before = clickhouse.positions()
    clickhouse.note_positions(before)

    clickhouse.keep_for(RetentionSettings(events_days=100, health_days=100, signals_days=100))
    merged(clickhouse, "events", "event_details", "account_health", "signals")

    assert clickhouse.positions() == before
