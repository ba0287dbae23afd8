"""
The short form of `make chaos`: one broker, each process killed during a backfill and again under live traffic.

Afterwards each accepted event counts once, everywhere, and a replay is the same, by the same comparison.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.backfill.mapping import TimedCall
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS
from services.simulator import History
from tests.chaos.checks import check
from tests.chaos.clients import SEED, Load, Seen, Sent
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.history import Blows, Past, send_past

pytestmark = pytest.mark.chaos

SERVICES = ("ingest", "scorer", "alerter", "warehouse")
SECOND = "scorer-2"
LIVE_S = 8.0
RATE = 60.0


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A broker that the test may stop."""
    broker = EmbeddedBroker(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    yield broker
    await asyncio.to_thread(broker.stop)


@pytest.fixture
async def deployment(tmp_path: Path, broker: EmbeddedBroker) -> AsyncIterator[Deployment]:
    """All services, ready, and a second scorer that is not started."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap, partitions=4)
    async with deployed(tmp_path, kafka, SERVICES, spare=[SECOND]) as made:
        yield made


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_nothing_is_lost_or_doubled_when_everything_is_killed(
    deployment: Deployment, broker: EmbeddedBroker
) -> None:
    async def strike(blow: str) -> None:
        if blow == "broker":
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
        elif blow == "join":
            deployment.start(SECOND)
            await deployment.ready(SECOND)
            await deployment.stop(SECOND)
        else:
            deployment.kill(blow)

    sent = Sent()
    past = Past(History(SEED, time.time_ns() // 1_000_000, weeks=6, every=4, pace=3.6), sent)
    blows = Blows(strike)
    blows.plan([*SERVICES, "join", "broker"], sum(1 for _ in past.events()))
    breaking = asyncio.create_task(blows.run())
    try:
        await send_past(deployment.programs["ingest"].url, deployment.kafka, past, Seen(), blows)
    except RuntimeError as stuck:
        pytest.fail(f"{stuck}\n{await deployment.described()}")
    await breaking
    assert sent.offered >= 10_000
    assert sent.repeated >= sent.offered * 0.15

    async with Load([deployment.programs["ingest"].url], sent, RATE) as load:
        load.go()
        for name in SERVICES:
            await asyncio.sleep(LIVE_S / len(SERVICES))
            deployment.kill(name)
        assert await load.pause()
    for name in SERVICES:
        await deployment.ready(name)
    found = await check(deployment, sent)

    assert found.clean, found
    assert found.signals > 0
    assert found.events == len(sent.calls)
    assert all(deployment.programs[name].ended >= 2 for name in SERVICES)

    # And the comparison can fail: one event that was acknowledged and never came, one that came and was never sent.
    never_sent = next(each for each, call in sent.calls.items() if call.call["type"] == "page")
    some = sent.calls.pop(never_sent)
    sent.acknowledged.remove(never_sent)
    sent.calls["never came"] = TimedCall(some.at_ms - 1000 * DAY_MS, {**some.call, "messageId": "never came"})
    sent.acknowledged.add("never came")
    await deployment.ready("warehouse")
    wrong = await check(deployment, sent)

    assert wrong.lost == {"log": 1, "state": 1, "warehouse": 1}
    assert wrong.doubled == {"state": 1}
    assert "the warehouse has 1 events that nobody sent" in wrong.problems
