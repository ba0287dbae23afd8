"""Every store under one contract; a server too where CLICKHOUSE_URL is set."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.warehouse.clickhouse import open_embedded, open_server
from services.warehouse.memory import MemoryStore
from services.warehouse.ports import Store


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an embedded engine that stays open: each test has a database in it, which is quicker than a folder."""
    path = tmp_path_factory.mktemp("clickhouse")
    held = open_embedded(path, "held")
    yield path
    held.close()


@pytest.fixture(params=["memory", "embedded", *(["server"] if os.environ.get("CLICKHOUSE_URL") else [])])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    opened: Store
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "embedded":
        opened = open_embedded(request.getfixturevalue("engine"), f"contract_{uuid.uuid4().hex}")
    else:
        opened = open_server(os.environ["CLICKHOUSE_URL"], f"contract_{uuid.uuid4().hex}")
    yield opened
    opened.close()
