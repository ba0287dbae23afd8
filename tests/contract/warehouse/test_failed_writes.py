"""Writes of the embedded engine that fail without an error: what is in its files is not taken for what was stored."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from services.console.settings import ConsoleSettings
from services.shared.errors import Fatal
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from services.warehouse.__main__ import Warehouse
from services.warehouse.clickhouse.failed_writes import KEEP_PARTS_S, FailedWrites
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.domain.erasing import Erasure
from services.warehouse.domain.rows import Place
from services.warehouse.settings import RetentionSettings, WarehouseSettings
from tests.contract.warehouse.stored import T0, event

Opens = Callable[[], ClickHouseStore]


@pytest.fixture
def open_(tmp_path: Path) -> Iterator[Opens]:
    """Return what opens the store of this test again; it closes the one before."""
    opened: list[ClickHouseStore] = []

    def close() -> None:
        while opened:
            opened.pop().close()

    def opens() -> ClickHouseStore:
        close()
        opened.append(open_embedded(tmp_path / "clickhouse", "tidemark"))
        return opened[0]

    yield opens
    close()


def write_in_vain(store: ClickHouseStore) -> None:
    store._readers[0].command("INSERT INTO FUNCTION file('/dev/full', 'CSV') SELECT 1")


def part(store: ClickHouseStore, name: str) -> Path:
    asked = f"SELECT path FROM system.parts WHERE database = 'tidemark' AND table = 'events' AND name = '{name}'"
    return Path(store._writer.query(asked).result_rows[0][0])


def test_a_draft_whose_definition_was_written_in_vain_does_not_keep_the_store_shut(
    open_: Opens, tmp_path: Path
) -> None:
    """So a start on a disk that is full was seen to leave it: the engine opens no folder with an empty definition."""
    store = open_()
    store.insert("events", [event(1, "acme")])
    store.close()
    (definition,) = (tmp_path / "clickhouse").glob("store/*/*/account_user_days.sql")
    definition.with_stem("account_user_days_draft").touch()

    assert open_().positions()["usage-events", 0] == 2
    assert not definition.with_stem("account_user_days_draft").exists()


def two_inserts_merged(open_: Opens) -> tuple[Path, Path, Path]:
    """Store an event twice, merge the two parts, and return where these and what was made of them are."""
    store = open_()
    for offset in (1, 2):
        store.insert("events", [event(offset, "acme")])
    store._writer.command("OPTIMIZE TABLE events FINAL")
    places = part(store, "all_1_1_0"), part(store, "all_2_2_0"), part(store, "all_1_2_1")
    store.close()
    return places


def empty(folder: Path) -> None:
    """Leave a part as a merge on a full disk does: all of its files, and nothing in them."""
    for file in folder.iterdir():
        os.truncate(file, 0)


def stored(store: ClickHouseStore) -> list[int]:
    return [row[0] for row in store._writer.query("SELECT offset FROM events ORDER BY offset").result_rows]


def test_the_engine_still_takes_a_write_that_fails_for_one_that_did_not(open_: Opens) -> None:
    """If this fails the engine has learnt to say so: what looks at its count can go."""
    store = open_()
    failed = FailedWrites(store._writer)
    assert not failed.any(store._writer)

    write_in_vain(store)

    assert failed.any(store._writer)


def test_after_a_write_that_failed_nothing_more_is_said_to_be_stored(open_: Opens) -> None:
    store = open_()
    write_in_vain(store)

    calls: list[Callable[[], object]] = [
        lambda: store.insert("events", [event(1, "acme")]),
        lambda: store.note_positions({("usage-events", 0): 2}),
        lambda: store.note_positions({}),
        lambda: store.erase(Erasure(Place("usage-details", 0, 9, T0), "u", "somebody", "", T0, "dpo")),
    ]
    for call in calls:
        with pytest.raises(Fatal, match="Make room where TIDEMARK_DATA_DIR is"):
            call()


def test_a_merge_that_wrote_nothing_is_undone_at_the_next_start(open_: Opens, caplog: pytest.LogCaptureFixture) -> None:
    *_, merged = two_inserts_merged(open_)
    empty(merged)

    with caplog.at_level(logging.WARNING):
        store = open_()

    assert stored(store) == [1, 2]
    assert store.positions() == {("usage-events", 0): 3}
    assert [(each.message, each.__dict__["part"]) for each in caplog.records] == [
        ("broken_part_set_aside", "broken-on-start_all_1_2_1")
    ]
    assert store._writer.query("SELECT count() FROM system.detached_parts").result_rows == [(0,)]


def test_an_insert_that_wrote_nothing_is_not_there_at_the_next_start(open_: Opens) -> None:
    store = open_()
    for offset in (1, 2):
        store.insert("events", [event(offset, "acme")])
    last = part(store, "all_2_2_0")
    store.close()
    empty(last)

    store = open_()

    assert stored(store) == [1]
    assert store.positions() == {("usage-events", 0): 2}, "it is read again"


def test_rows_that_are_gone_with_a_part_and_those_merged_into_it_are_told(
    open_: Opens, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, merged = two_inserts_merged(open_)
    empty(merged)
    shutil.rmtree(first)
    shutil.rmtree(second)

    store = open_()

    assert ("rows_lost_with_a_broken_part", logging.CRITICAL) in [
        (each.message, each.levelno) for each in caplog.records
    ]
    assert [part.table for part in store.lost] == ["events"]
    assert store._writer.query("SELECT count() FROM system.detached_parts").result_rows == [(1,)], "for who can use it"

    set_aside = Path(store._writer.query("SELECT path FROM system.detached_parts").result_rows[0][0])
    store.close()
    set_aside.rename(set_aside.with_name("broken-on-start_by_hand"))
    assert stored(open_()) == [], "a folder whose name says nothing is in nobody's way"


def test_an_insert_that_is_gone_while_a_later_one_is_there_is_lost(open_: Opens) -> None:
    """Its rows are not read again: the position comes from the later ones."""
    store = open_()
    for offset in (1, 2):
        store.insert("events", [event(offset, "acme")])
    first = part(store, "all_1_1_0")
    store.close()
    empty(first)

    store = open_()

    assert store.positions() == {("usage-events", 0): 3}
    assert [(lost.table, lost.name) for lost in store.lost] == [("events", "broken-on-start_all_1_1_0")]


async def test_the_warehouse_shows_which_tables_have_lost_rows_until_the_broken_part_is_taken_away(
    open_: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)  # which the warehouse sets
    first, second, merged = two_inserts_merged(open_)
    empty(merged)
    shutil.rmtree(first)
    shutil.rmtree(second)

    assert [await lost_parts(tmp_path) for _ in range(2)] == [["events"], ["events"]], "a restart ends no alert"

    for broken in (tmp_path / "clickhouse").glob("store/*/*/detached/broken-*"):
        shutil.rmtree(broken)
    assert await lost_parts(tmp_path) == []


async def lost_parts(data: Path) -> list[str]:
    """Return the tables whose lost parts a warehouse shows that has opened its store; Kafka is away."""
    stop, port = asyncio.Event(), free_port()
    warehouse = Warehouse(
        KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}"),
        ProcessSettings(http_port=port, data_dir=data),
        WarehouseSettings(),
        RetentionSettings(),
        ConsoleSettings(),
    )
    running = asyncio.create_task(warehouse.run(stop))
    shown = ""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
        while warehouse._store is None:
            assert not running.done()
            await asyncio.sleep(0.05)
        shown = (await client.get("/metrics")).text
    stop.set()
    await asyncio.wait_for(running, 30)
    return re.findall(r'^tidemark_warehouse_lost_parts\{table="(\w+)"\} 1\.0$', shown, re.MULTILINE)


def test_parts_that_were_merged_are_kept_for_longer_than_it_takes_to_look(open_: Opens) -> None:
    store = open_()
    tables = "SELECT name, engine_full FROM system.tables WHERE database = 'tidemark' AND engine LIKE '%MergeTree'"

    rows = store._writer.query(tables).result_rows

    assert len(rows) > 10
    assert [name for name, engine in rows if f"old_parts_lifetime = {KEEP_PARTS_S}" not in engine] == []
    assert KEEP_PARTS_S >= 3 * 10, "the sink notes positions every ten seconds"
