"""Whether the history that back-tests read is there: said before somebody starts one that cannot run."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from services.shared.errors import ConfigurationError
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import load

_PATIENCE_S = 1.0


async def obstacle(history: str) -> str:
    """
    Return why no back-test can run: `off`, `no_log`, `no_warehouse`, or `no_file`; empty where one can, as far as can be told.

    Args:
        history: The setting: `log`, `warehouse`, the path of a file of events, or `off`.
    """
    match history:
        case "off":
            return "off"
        case "log":
            return "" if await _answers() else "no_log"
        case "warehouse":
            # A setting of the warehouse, which the back-test's own process reads.
            return "" if os.environ.get("CLICKHOUSE_URL") else "no_warehouse"
        case _:
            return "" if await asyncio.to_thread(Path(history).exists) else "no_file"


async def _answers() -> bool:
    """Return whether anything listens where Kafka should be."""
    try:
        addresses = load(KafkaSettings).bootstrap_servers.split(",")
    except ConfigurationError:
        return False
    return any(await asyncio.gather(*(_listens(address.strip()) for address in addresses[:5])))


async def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError, TimeoutError):
        _, writer = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), int(port)), _PATIENCE_S)
        writer.close()
        return True
    return False
