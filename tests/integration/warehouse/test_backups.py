"""A backup of the embedded warehouse, made and put back as docs/operating.md says."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas import codec
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from tests.integration.warehouse.sinks import caught_up, producing, raw, send_events, sinking
from tests.support.waiting import until
from tests.support.warehouse_events import example

pytestmark = pytest.mark.timeout(180)


@asynccontextmanager
async def run(kafka: KafkaSettings, folder: Path) -> AsyncIterator[ClickHouseStore]:
    """Run a warehouse until it has read everything."""
    store = open_embedded(folder, "tidemark")
    try:
        async with sinking(kafka, store):
            await until(caught_up(kafka, store, "usage-events", "usage-details"), 60)
            await until(lambda: all(order.done for order in store.erasures()), 30)
        yield store
    finally:
        store.close()


async def test_a_warehouse_goes_on_from_its_backup_and_erases_again_whom_it_had_erased(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    folder, backup = tmp_path / "clickhouse", tmp_path / "backup"
    sent = await send_events(kafka_settings, range(300), ticks=False)
    async with run(kafka_settings, folder):
        pass
    shutil.copytree(folder, backup, symlinks=True)

    sent |= await send_events(kafka_settings, range(300, 600), ticks=False)
    async with producing(kafka_settings) as producer:
        order = codec.encoder("erasure")({**example("erasure/examples/account.json"), "account": "account-7"})
        await producer.send_and_wait(kafka_settings.scoped("usage-details"), order, b"account-7")
    kept = {(event, account) for event, account in sent.items() if account != "account-7"}
    async with run(kafka_settings, folder) as store:
        assert set(raw(store, "SELECT event_id, account FROM events FINAL")) == kept

    shutil.rmtree(folder)
    shutil.copytree(backup, folder, symlinks=True)
    async with run(kafka_settings, folder) as store:
        assert set(raw(store, "SELECT event_id, account FROM events FINAL")) == kept
        assert raw(store, "SELECT sum(events) FROM account_days") == [(len(kept),)]
