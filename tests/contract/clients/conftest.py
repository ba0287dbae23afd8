"""One ingest and one browser for all clients of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.client_programs import CLIENTS
from tests.support.client_sessions import Sessions
from tests.support.memory_ingest import MemoryIngest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ingest() -> AsyncIterator[MemoryIngest]:
    """Each client's name is its write key."""
    served = MemoryIngest(CLIENTS)
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sessions(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sessions]:
    running = Sessions(tmp_path_factory.mktemp("clients"))
    yield running
    await running.close()
