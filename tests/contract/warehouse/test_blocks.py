"""A block is stored with exactly the values of its rows, and what is derived from rows is derived from blocks."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.warehouse.clickhouse.store import ClickHouseStore
from services.warehouse.domain.blocks import Block
from services.warehouse.domain.filters import EventFilter, PeopleFilter
from services.warehouse.domain.rows import columns
from services.warehouse.filling import batch as batches
from services.warehouse.ports import Store
from tests.support.warehouse_events import DETAILS, EVENTS, Message, encoded

TIMES = ("appended_at", "occurred_at", "received_at")


def block(topic: str, values: list[bytes]) -> Block:
    messages = [Message(2**40 + n, 1_780_000_000_000 + n, value) for n, value in enumerate(values)]
    (rows,) = batches.build({(topic, 7): messages}).rows.values()
    assert isinstance(rows, Block)
    return rows


def stored(store: ClickHouseStore, table: str) -> list[tuple[Any, ...]]:
    """Return what a table has, with times as milliseconds."""
    chosen = ", ".join(f"toUnixTimestamp64Milli({name})" if name in TIMES else name for name in columns(table))
    query = f"SELECT {chosen} FROM {table} ORDER BY offset"
    return [tuple(row) for row in store._writer.query(query).result_rows]


@pytest.fixture(params=["embedded", "server"])
def clickhouse(request: pytest.FixtureRequest) -> ClickHouseStore:
    store: ClickHouseStore = request.getfixturevalue(f"{request.param}_store")
    return store


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENTS, min_size=1, max_size=25), details=st.lists(DETAILS, min_size=1, max_size=25))
def test_every_value_is_stored_as_that_of_its_row(
    clickhouse: ClickHouseStore, events: list[bytes], details: list[bytes]
) -> None:
    for topic, table, values in (("usage-events", "events", events), ("usage-details", "event_details", details)):
        clickhouse._writer.command(f"TRUNCATE TABLE {table}")
        made = block(topic, values)

        clickhouse.insert(table, made)
        by_column = stored(clickhouse, table)

        assert by_column == list(made)
        clickhouse._writer.command(f"TRUNCATE TABLE {table}")
        clickhouse.insert(table, list(made))
        assert stored(clickhouse, table) == by_column


def test_a_large_block_is_stored_whole_and_a_second_time_replaces_itself(clickhouse: ClickHouseStore) -> None:
    texts = ["", "x" * 127, "x" * 128, "x" * 32_768, "é" * 8_192, "🙂"]
    values = [
        encoded("usage_event", 1 + n % 2, {"event_id": f"e{n}", "account": f"a{n % 9}", "properties": texts[n % 6]})
        for n in range(2_000)
    ]
    made = block("usage-events", values)

    clickhouse.insert("events", made)
    parts = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'events' AND active"
    assert clickhouse._writer.query(parts).result_rows == [(1,)]  # all of it at once, or nothing
    clickhouse.insert("events", made)

    clickhouse._writer.command("OPTIMIZE TABLE events FINAL")
    assert stored(clickhouse, "events") == list(made)


def test_what_is_derived_from_events_is_derived_from_a_block(store: Store) -> None:
    now = int(time.time() * 1000)  # arrivals are kept for five weeks
    event = {
        "account": "acme",
        "environment": "production",
        "name": "x",
        "kind": "TRACK",
        "use": True,
        "user": "u_kim",
        "received_at": now,
    }
    made = block("usage-events", [encoded("usage_event", 2, {**event, "event_id": each}) for each in "aab"])

    store.insert("events", made)

    assert store.arrivals(0)[0]["events"] == 3
    assert [row["event_id"] for row in store.events(EventFilter("acme")).rows] == ["b", "a"]
    assert [(row["events"], row["active_users"]) for row in store.account_days("acme", 0).rows] == [(2, 1)]
    assert [row["user"] for row in store.account_people(PeopleFilter("acme", 0)).rows] == ["u_kim"]
    assert store.positions() == {("usage-events", 7): 2**40 + 3}
