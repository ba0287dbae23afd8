"""
Every store under one contract: in memory, the embedded engine, and a server over the wire.

The server is that of CLICKHOUSE_URL; if it is not set, that of tests/support/clickhouse_server.py.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded, open_server
from services.warehouse.memory.store import MemoryStore
from services.warehouse.ports import Store
from tests.support.clickhouse_server import clickhouse_server


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get("CLICKHOUSE_URL")
    if given:
        yield given
        return
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse-server")) as url:
        yield url


@pytest.fixture(scope="session")
def opened_server(server_url: str) -> Iterator[ClickHouseStore]:
    database = f"contract_{uuid.uuid4().hex}"
    store = open_server(server_url, database)
    yield store
    store._writer.command(f"DROP DATABASE {database}")
    store.close()


@pytest.fixture
def server_store(opened_server: ClickHouseStore) -> ClickHouseStore:
    """A store on a server, empty."""
    return _emptied(opened_server)


@pytest.fixture(scope="module")
def opened_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    store = open_embedded(tmp_path_factory.mktemp("clickhouse"), "contract")
    yield store
    store.close()


@pytest.fixture
def embedded_store(opened_embedded: ClickHouseStore) -> ClickHouseStore:
    """A store in the embedded engine, empty: to make its tables takes forty times as long as to empty them."""
    return _emptied(opened_embedded)


def _emptied(store: ClickHouseStore) -> ClickHouseStore:
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    for (name,) in store._writer.query(f"{tables} AND name != 'migrations'").result_rows:
        store._writer.command(f"TRUNCATE TABLE {name}")
    store.forget()
    return store


@pytest.fixture(params=["memory", "embedded", "server"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    opened: ClickHouseStore = request.getfixturevalue(f"{request.param}_store")
    return opened
