"""One ingest and one browser for all clients of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.client_programs import CLIENTS
from tests.support.memory_ingest import MemoryIngest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ingest(request: pytest.FixtureRequest) -> AsyncIterator[MemoryIngest]:
    """Each client's name is its write key."""
    served = MemoryIngest(CLIENTS)
    await served.start()
    yield served
    await served.stop()
