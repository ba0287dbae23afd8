# ruff: noqa: SLF001 - a private seam of aiokafka, held by tests/contract/kafka/test_bootstrap_seam.py
"""
Clients find their cluster by the bootstrap list: when they start, and again when all brokers that they knew are gone.

aiokafka gives a listed broker that hangs as long as any request, 15 to 40 s, before it tries the next one, and each new
client begins anew. Later it asks for metadata only those brokers that it saw last: where they are all gone for good while
others have come back (or the whole cluster has moved), it asks the dead for ever.

So here nobody is waited for alone: after two seconds the next one is asked beside those before, and the first answer
counts. A slow broker keeps the whole time of a request for its answer, TLS handshake and login included.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

log = logging.getLogger(__name__)

_ALONE_S = 2.0
"""Brokers answer in milliseconds, a busy one by TLS within a second; one that hangs or lost its power refuses nothing."""
_ASK_WITHIN_MS = 5_000
_PAUSE_S = 0.25
"""After a round in which nobody answered; without it a client in an outage tries a hundred times a second."""

_unheard: set[tuple[str, int]] = set()
"""Listed brokers that did not answer when a client of this process last asked: the others are asked before them."""


def find_cluster(client: AIOKafkaClient, options: Mapping[str, Any]) -> None:
    """
    Have an aiokafka client ask the brokers of the bootstrap list beside each other; call it before the client starts.

    `options` are those that it was made with (`KafkaSettings.client_options`). It is the inner client: `client` of a
    producer, `_client` of consumers and admin clients.
    """
    ask_known = client._metadata_update
    login = {name: value for name, value in options.items() if name != "bootstrap_servers"}

    def listed(request: MetadataRequest, within_ms: int) -> list[Callable[[], Awaitable[Any]]]:
        common = {**login, "client_id": client._client_id, "request_timeout_ms": within_ms}
        hosts = sorted(((host, port) for host, port, _ in client.hosts), key=_unheard.__contains__)
        return [partial(_ask, host, port, request, common) for host, port in hosts]

    async def bootstrap() -> None:
        answer = await first_answer(listed(MetadataRequest([]), client._request_timeout_ms))
        if answer is None:
            raise KafkaConnectionError(f"Unable to bootstrap from {client.hosts}")
        client.cluster.update_metadata(answer)
        if client._sync_task is None:
            client._sync_task = asyncio.create_task(client._md_synchronizer())

    async def update(metadata: Any, topics: Any) -> bool:
        async def known() -> bool | None:
            return await ask_known(metadata, topics) or None

        request = MetadataRequest(list(topics) if topics else None)
        answer = await first_answer([known, *listed(request, _ASK_WITHIN_MS)])
        if answer is None:
            await asyncio.sleep(_PAUSE_S)
            return False
        if answer is not True:
            metadata.update_metadata(answer)
            log.warning("bootstrapped_again", extra={"brokers": len(metadata.brokers())})
        return True

    client.bootstrap = bootstrap
    client._metadata_update = update


async def first_answer(attempts: Iterable[Callable[[], Awaitable[Any]]]) -> Any:
    """Begin each attempt when the one before has failed or has had its time alone; return the first result that is not None."""
    left = list(attempts)
    running: set[asyncio.Future[Any]] = set()
    try:
        while left or running:
            if left:
                running.add(asyncio.ensure_future(left.pop(0)()))
            done, running = await asyncio.wait(
                running, timeout=_ALONE_S if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for answer in [attempt.result() for attempt in done]:
                if answer is not None:
                    return answer
        return None
    finally:
        for attempt in running:
            attempt.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _ask(host: str, port: int, request: MetadataRequest, options: Mapping[str, Any]) -> Any:
    """Return what a listed broker says; None if it does not answer, or knows of no brokers, as one that is starting."""
    connection: AIOKafkaConnection | None = None
    answer: Any = None
    try:
        connection = await create_conn(host, port, **options)
        answer = await connection.send(request)
    except (KafkaError, OSError, TimeoutError) as error:
        log.warning("listed_broker_does_not_answer", extra={"broker": f"{host}:{port}", "error": repr(error)})
    finally:
        note = _unheard.add if answer is None else _unheard.discard
        note((host, port))
        if connection is not None:
            connection.close()
    return answer if answer is not None and answer.brokers else None
