"""
Every store under one contract: in memory, the embedded engine, and a server over the wire.

The server is that of CLICKHOUSE_URL; if it is not set, that of tests/support/clickhouse_server.py.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

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
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    for (name,) in opened_server._writer.query(f"{tables} AND name != 'migrations'").result_rows:
        opened_server._writer.command(f"TRUNCATE TABLE {name}")
    return opened_server


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an embedded engine that stays open: each test has a database in it, which is quicker than a folder."""
    path = tmp_path_factory.mktemp("clickhouse")
    held = open_embedded(path, "held")
    yield path
    held.close()


@pytest.fixture(params=["memory", "embedded", "server"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "server":
        yield request.getfixturevalue("server_store")
        return
    opened: Store = (
        MemoryStore()
        if request.param == "memory"
        else open_embedded(request.getfixturevalue("engine"), f"contract_{uuid.uuid4().hex}")
    )
    yield opened
    opened.close()
