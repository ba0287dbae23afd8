"""
The Faust app under a worker: group membership, assignment, rebalance signals and one agent per source topic.

Faust keeps no state, commits no offset, creates no topic and serves no web here. It runs inside the process's own
event loop, beside the HTTP server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from faust import App
from faust.types import TP
from yarl import URL

from services.shared.engine.chunk import Chunk
from services.shared.engine.faust_seam.chunks import ChunkScheduler, ChunkSchema
from services.shared.engine.faust_seam.consumer import FOR_EVER_S, Consumer, Transport
from services.shared.engine.settings import EngineSettings
from services.shared.kafka.settings import KafkaSettings

__all__ = ["TP", "App", "consumer_of", "make_app"]

_AGENT_QUEUE = 1024
"""Chunks between Faust's fetcher and the agent; the agent never waits, so it stays near empty."""
_POLL_RECORDS = 10_000

Deliver = Callable[[str, Chunk], None]
Signal = Callable[..., Awaitable[None]]


def make_app(
    group: str, topics: Iterable[str], kafka: KafkaSettings, engine: EngineSettings, *, instance: str, client_id: str,
    data_dir: Path, deliver: Deliver, revoked: Signal, complete: Signal,
) -> App:  # fmt: skip
    """
    Make an app that calls `deliver` with each chunk of the topics; names are without prefix.

    `revoked` is awaited before the worker gives up partitions and each time before it joins, `complete` before it
    reads from those it got. `instance` is the static member id, `client_id` says whose it is (membership.py).
    """
    urls = [URL(f"kafka://{address.strip()}") for address in kafka.bootstrap_servers.split(",")]
    home = data_dir / "faust" / instance
    home.mkdir(parents=True, exist_ok=True)
    app = App(
        kafka.scoped(group),
        broker=urls,
        store="memory://",
        datadir=home,
        autodiscover=False,
        web_enabled=False,
        ConsumerScheduler=ChunkScheduler.sized(engine.chunk_records),
        table_standby_replicas=1,  # without tables it costs nothing, and keeps the sticky assignor
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,  # lanes commit, not Faust
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=engine.fetch_bytes,
        broker_client_id=client_id,
        consumer_group_instance_id=instance,
        broker_session_timeout=engine.session_timeout_s,
        broker_heartbeat_interval=engine.heartbeat_s,
        broker_max_poll_interval=engine.max_poll_interval_s,
        broker_max_poll_records=_POLL_RECORDS,
        broker_request_timeout=FOR_EVER_S,
    )
    transport = Transport(urls, app)
    transport.client_options = kafka.client_options()
    transport.whole = () if engine.accept_gap else frozenset(map(kafka.scoped, topics))
    app.transport = transport
    app.producer_transport = transport
    for topic in topics:
        _add_agent(app, kafka.scoped(topic), topic, deliver)
    app.on_partitions_revoked.connect(revoked)
    app.on_rebalance_complete.connect(complete)
    return app


def consumer_of(app: App) -> Consumer:
    """Return the app's consumer as the kind that the transport makes."""
    found = app.consumer
    if not isinstance(found, Consumer):
        raise TypeError(f"the app has a consumer of another kind: {type(found)}")
    return found


def _add_agent(app: App, full_name: str, topic: str, deliver: Deliver) -> None:
    source = app.topic(
        full_name,
        schema=ChunkSchema(key_serializer="raw", value_serializer="raw"),
        acks=False,
        maxsize=_AGENT_QUEUE,
    )

    async def hand_on(stream: Any) -> None:
        async for event in stream.events():
            if event.message.generation_id == app.consumer_generation_id:
                deliver(topic, event.value)

    app.agent(source, name=f"lanes.{topic}", concurrency=1)(hand_on)
