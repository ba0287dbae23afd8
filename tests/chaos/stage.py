"""
Where the faults of a campaign take place: a cluster of three brokers, a Tidemark on it, and clients.

The deployment is kept from one fault to the next, as a real one would be, until a fault needs a new one or leaves it in
a state that is not clean: then what is lost later cannot be told from what was lost before.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from aiokafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families

from services.shared.errors import TidemarkError
from services.shared.kafka import topics
from services.shared.kafka.clients import admin
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from tests.chaos.clients import Load, Sent
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.volumes import Volumes
from tests.support.embedded_cluster import EmbeddedCluster

PROGRAMS = ("ingest-1", "ingest-2", "scorer-1", "scorer-2", "alerter", "warehouse")
PARTITIONS = 4
LAG_RECORDS = 600
"""Records that a service may be behind while it keeps up: two seconds of the load."""
_ASK_WITHIN_S = 3.0
_DELETE_WITHIN_S = 30.0
_END_WITHIN_S = 120.0
_LAGS = ("tidemark_engine_lag_records", "tidemark_warehouse_lag_records")


class Stage:
    """The cluster, and the deployment on it, of one campaign. Use as an async context manager."""

    def __init__(self, folder: Path, rate: float, say: Callable[[str], None]) -> None:
        """Take the folder for everything, events a second, and who is told what is going on."""
        self.folder = folder
        self.say = say
        self.volumes = Volumes(folder / "volumes")
        self.cluster: EmbeddedCluster
        self.deployment: Deployment
        self.load: Load
        self.sent: Sent
        self.clean = False
        """Whether nothing that is wrong is known of the deployment."""
        self._rate = rate
        self._number = 0
        self._stack = AsyncExitStack()
        self._deployed = AsyncExitStack()

    async def __aenter__(self) -> Stage:  # noqa: PYI034  the attributes are of this class
        """Start the brokers, each on a volume of its own where this machine lets us make one."""
        self.say("three brokers start")
        self.volumes.make(("node-1", "node-2", "node-3", "warehouse"))
        self._stack.callback(self.volumes.remove)
        self.cluster = EmbeddedCluster(self.volumes.root)
        self._stack.push_async_callback(asyncio.to_thread, self.cluster.kill)
        await asyncio.to_thread(self.cluster.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything, bounded; nobody needs the topics any more."""
        self.say("everything stops")
        try:
            await self._end_deployment()
        finally:
            await self._stack.aclose()

    @property
    def brokers(self) -> list[EmbeddedBroker]:
        """The three brokers."""
        return self.cluster.brokers

    def kafka(self) -> KafkaSettings:
        """Return settings of a new deployment, under a prefix of its own."""
        return KafkaSettings(
            bootstrap_servers=self.cluster.bootstrap,
            partitions=PARTITIONS,
            replication=len(self.brokers),
            topic_prefix=f"c{uuid.uuid4().hex[:6]}-",
        )

    async def fresh(self) -> None:
        """End the deployment, if any, and its topics; start a new one, and clients with nothing to send yet."""
        await self.clear()
        self.say("a new deployment starts")
        self._number += 1
        kafka = self.kafka()
        self.deployment = await self._deployed.enter_async_context(
            deployed(self.folder / f"deployment-{self._number}", kafka, PROGRAMS, environment=self._environment())
        )
        self.sent = Sent()
        urls = [program.url for program in self.deployment.named("ingest")]
        self.load = await self._deployed.enter_async_context(Load(urls, self.sent, self._rate))
        self.clean = True

    async def clear(self) -> None:
        """End the deployment, if any, and delete its topics; start again the brokers that are down."""
        for broker in self.brokers:
            broker.environment = {}
            if broker.running:
                broker.resume()
        await asyncio.to_thread(self.cluster.start)
        kafka = self.deployment.kafka if self._number else None
        await self._end_deployment()
        if kafka is not None:
            try:
                async with asyncio.timeout(_DELETE_WITHIN_S):
                    await topics.delete(kafka)
            except (KafkaError, TidemarkError, TimeoutError) as error:
                self.say(f"the topics of the former deployment were left: {error!r}")
        self.clean = False

    async def _end_deployment(self) -> None:
        stack, self._deployed = self._deployed, AsyncExitStack()
        async with asyncio.timeout(_END_WITHIN_S):
            await stack.aclose()
        # Its volume is small and is the next deployment's too: a new store needs room.
        await asyncio.to_thread(shutil.rmtree, self._store(), ignore_errors=True)

    def _store(self) -> Path:
        """Return where the warehouse of the deployment keeps its data."""
        return self.volumes.root / "warehouse" / str(self._number)

    async def whole(self, since: float) -> list[str]:
        """
        Return what is not as it should be, one sentence each; none when all is well.

        All is well when each replica is in sync, each process ready, nobody far behind the log, and each client
        got a 200 after `since`, by the monotonic clock.
        """
        found = [f"broker {broker.node.id} does not run" for broker in self.brokers if not broker.running]
        if not found:
            found += await self._out_of_sync()
        reasons = await asyncio.gather(*(self.deployment.not_ready(name) for name in self.deployment.programs))
        found += [reason for reason in reasons if reason]
        found += [
            f"a client has had no 200 for {client.without_ok_s:.0f} s"
            for client in self.load.clients
            if client.last_ok < since or client.without_ok_s > 2.0
        ]
        if not found:
            found += await self._behind()
        return found

    async def _out_of_sync(self) -> list[str]:
        nodes = {broker.node.id for broker in self.brokers}
        try:
            async with asyncio.timeout(_ASK_WITHIN_S), admin(self.deployment.kafka) as client:
                described = await client.describe_topics()
        except (KafkaError, TimeoutError) as error:
            return [f"the cluster does not answer ({error!r})"]
        short = sum(
            set(partition["isr"]) != nodes or partition["leader"] < 0
            for topic in described
            for partition in topic["partitions"]
        )
        return [f"{short} partitions are not in sync"] if short else []

    async def _behind(self) -> list[str]:
        names = [name for name in self.deployment.programs if not name.startswith("ingest")]
        found = []
        for name, lag in zip(names, await asyncio.gather(*map(self._lag, names)), strict=True):
            if lag is None or lag > LAG_RECORDS:
                found.append(f"{name} is {lag} records behind" if lag is not None else f"{name} shows no metrics")
        return found

    async def _lag(self, name: str) -> float | None:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=_ASK_WITHIN_S) as client:
                page = (await client.get(self.deployment.programs[name].url + "/metrics")).text
        except httpx.HTTPError:
            return None
        samples = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
        return max((sample.value for sample in samples if sample.name in _LAGS), default=0.0)

    def _environment(self) -> dict[str, dict[str, str]]:
        """Return where processes keep their data when it is not in the deployment's folder."""
        return {"warehouse": {"TIDEMARK_DATA_DIR": str(self._store())}}


async def passes(seconds: float) -> None:
    """Let time pass: how long a fault lasts, or quiet lasts, is part of what is tried."""
    await asyncio.sleep(seconds)


def monotonic() -> float:
    """Return seconds of a clock that nobody bends."""
    return time.monotonic()
