# ruff: noqa: SLF001 - a private seam of aiokafka, held by tests/contract/kafka/test_bootstrap_seam.py
"""
Clients find their way back to the bootstrap list.

aiokafka asks for metadata only those brokers that it saw last. Where they are all gone for good while others have come
back (or the whole cluster has moved), it asks the dead for ever; only a new client would look into the list again.
So when none of the known brokers answers, the list is asked, and the answer goes into the client's own metadata.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

log = logging.getLogger(__name__)

_ASK_WITHIN_MS = 5_000
_PATIENCE_S = 5.0
"""A broker that lost its power refuses nothing: a connection to it would be waited for as long as a request may take."""
_PAUSE_S = 0.25
"""After a round in which nobody answered; without it a client in an outage tries a hundred times a second."""


def find_back(client: AIOKafkaClient, options: Mapping[str, Any]) -> None:
    """
    Have an aiokafka client ask the bootstrap list when no broker that it knows answers.

    `options` are those that it was made with (`KafkaSettings.client_options`). It is the inner client: `client` of a
    producer, `_client` of consumers and admin clients.
    """
    ask_known = client._metadata_update

    async def update(metadata: Any, topics: Any) -> bool:
        known = asyncio.create_task(ask_known(metadata, topics))
        try:
            done, _ = await asyncio.wait({known}, timeout=_PATIENCE_S)
            if (done and known.result()) or await _ask_listed(options, metadata, topics) or await known:
                return True
        finally:
            known.cancel()
        await asyncio.sleep(_PAUSE_S)
        return False

    client._metadata_update = update


async def _ask_listed(options: Mapping[str, Any], metadata: Any, topics: Any) -> bool:
    """Put what the first of the listed brokers that answers says into `metadata`; return whether one did."""
    fresh = AIOKafkaClient(**{**options, "request_timeout_ms": _ASK_WITHIN_MS})
    try:
        await fresh.bootstrap()
        found = bool(await fresh._metadata_update(metadata, topics))
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await fresh.close()
    if found:
        log.warning("bootstrapped_again", extra={"brokers": len(metadata.brokers())})
    return found
