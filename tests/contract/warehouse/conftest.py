"""Every store under one contract; a server too where CLICKHOUSE_URL is set."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.warehouse.clickhouse import open_embedded, open_server
from services.warehouse.memory import MemoryStore
from services.warehouse.ports import Store


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
