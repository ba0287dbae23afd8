# ruff: noqa: SLF001 - a private seam of aiokafka, held by tests/contract/kafka/test_bootstrap_seam.py
"""
Clients find their way back to the bootstrap list.

aiokafka asks for metadata only those brokers that it saw last. Where they are all gone for good while others have come
back (or the whole cluster has moved), it asks the dead for ever; only a new client would look into the list again.
So when none of the known brokers answers, the list is asked, and the answer goes into the client's own metadata.

The list is asked in turn. A broker that takes connections and never answers, as one does that is frozen, would cost every
new client its whole request timeout before the next is asked. So each gets little time at first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

log = logging.getLogger(__name__)

_ASK_WITHIN_MS = 5_000
_PATIENCE_S = 5.0
"""A broker that lost its power refuses nothing: a connection to it would be waited for as long as a request may take."""
_QUICK_MS = 2_000
"""A broker that is well answers within milliseconds, and within a second where it is busy or far away."""
_PAUSE_S = 0.25
"""After a round in which nobody answered; without it a client in an outage tries a hundred times a second."""


def find_back(client: AIOKafkaClient, options: Mapping[str, Any]) -> None:
    """
    Have an aiokafka client pass by listed brokers that hang, and ask the list when no broker that it knows answers.

    `options` are those that it was made with (`KafkaSettings.client_options`). It is the inner client: `client` of a
    producer, `_client` of consumers and admin clients.
    """
    _pass_by_those_that_hang(client)
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


def _pass_by_those_that_hang(client: AIOKafkaClient) -> None:
    ask_in_turn = client.bootstrap
    usual = client._request_timeout_ms

    async def bootstrap() -> None:
        began = time.monotonic()
        client._request_timeout_ms = min(_QUICK_MS, usual)
        try:
            await ask_in_turn()
            return
        except KafkaError:
            if time.monotonic() - began < client._request_timeout_ms / 1000:
                raise  # all have refused; none was waited for
        finally:
            client._request_timeout_ms = usual
        await ask_in_turn()

    client.bootstrap = bootstrap


async def _ask_listed(options: Mapping[str, Any], metadata: Any, topics: Any) -> bool:
    """Put what the first of the listed brokers that answers says into `metadata`; return whether one did."""
    fresh = AIOKafkaClient(**{**options, "request_timeout_ms": _ASK_WITHIN_MS})
    _pass_by_those_that_hang(fresh)
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
