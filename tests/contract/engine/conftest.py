"""The backend of the contract tests: each test runs on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.engine.backends import Backend, in_memory, on_kafka


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each test runs on both; the broker is only started for one of them."""
    make = in_memory if request.param == "memory" else on_kafka
    async with make(lambda: request.getfixturevalue("kafka"), tmp_path) as made:
        yield made
