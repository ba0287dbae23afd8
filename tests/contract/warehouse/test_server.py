"""A server over the wire: what it refuses, and what it says while it is away."""

from pathlib import Path

import pytest

from services.shared.errors import Fatal, Retryable
from services.warehouse.clickhouse.store import ClickHouseStore, open_server
from services.warehouse.domain.filters import EventFilter
from services.warehouse.ports import StoreRefuses, why
from tests.contract.warehouse.stored import event, signal
from tests.support.clickhouse_server import clickhouse_server


def test_rows_go_over_the_wire_compressed_and_come_back_whole(server_store: ClickHouseStore) -> None:
    names = {f"e{n}": f'{{"text":"{chr(0x1F300 + n)} \\\\n {n}"}}' for n in range(300)}

    server_store.insert("events", [event(n, id_, properties=names[id_]) for n, id_ in enumerate(names)])

    assert {e["event_id"]: e["properties"] for e in server_store.events(EventFilter("acme", limit=400)).rows} == names


def test_rows_that_take_several_blocks_are_all_stored(server_store: ClickHouseStore) -> None:
    server_store.insert("signals", [signal(n, f"account {n}", "silent", 1, "FIRING") for n in range(3_000)])

    assert server_store._writer.query("SELECT count() FROM signals").result_rows == [(3_000,)]


def test_a_wrong_password_is_fatal_and_named(server_url: str) -> None:
    secret, _, place = server_url.removeprefix("http://").rpartition("@")

    with pytest.raises(Fatal, match="AUTHENTICATION_FAILED") as refused:
        open_server(f"http://{secret}x@{place}", "tidemark")

    assert secret.partition(":")[2] not in str(refused.value)


def test_a_table_that_somebody_altered_is_told_apart_from_a_server_that_is_away_and_goes_on_when_mended(
    server_store: ClickHouseStore,
) -> None:
    server_store._writer.command("ALTER TABLE events RENAME COLUMN source TO origin")
    try:
        with pytest.raises(StoreRefuses) as refused:
            server_store.insert("events", [event(1, "a")])
    finally:
        server_store._writer.command("ALTER TABLE events RENAME COLUMN origin TO source")

    server_store.insert("events", [event(1, "a")])
    assert why(refused.value).startswith(
        "the store refuses what is written (Unrecognized column 'source' in table events)"
    )
    assert server_store.positions() == {("usage-events", 0): 2}


def test_a_right_that_was_withdrawn_is_told_with_its_name(server_store: ClickHouseStore) -> None:
    server_store._writer.set_client_setting("readonly", 1)
    try:
        with pytest.raises(StoreRefuses) as refused:
            server_store.note_positions({("usage-events", 0): 1})
    finally:
        server_store._writer.set_client_setting("readonly", 0)

    assert refused.value.name == "READONLY"


def test_a_server_that_is_away_is_waited_for_and_goes_on_with_what_it_had(tmp_path: Path) -> None:
    with clickhouse_server(tmp_path / "server") as url:
        store = open_server(url, "tidemark")
        store.insert("events", [event(1, "a")])

    with pytest.raises(Retryable) as away:
        store.insert("events", [event(2, "b")])
    assert why(away.value) == "the store does not answer"
    with pytest.raises(Retryable):
        store.events(EventFilter("acme"))
    with pytest.raises(Retryable, match="does not answer"):
        open_server(url, "tidemark")
    store.close()

    with clickhouse_server(tmp_path / "server") as url:
        again = open_server(url, "tidemark")
        assert again.positions() == {("usage-events", 0): 2}
        again.close()
