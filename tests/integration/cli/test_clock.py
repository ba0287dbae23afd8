"""The time of the log as a person sees it, and the orders that a person gives, on a real broker."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import typer
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from schemas import codec
from services.cli.commands import accounts, clock
from services.cli.commands.clock import accept_absence, order
from services.cli.examining import clocks, cluster, running
from services.cli.local.stack_state import Running
from services.cli.quarantine import Quarantined, quarantined, release
from services.scorer.domain.lane.quarantine import Quarantine, encode_quarantine
from services.scorer.lane_facts import LaneFacts, read_lanes
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.errors import Fatal
from services.shared.kafka.clients import producer
from services.shared.kafka.partition import partition_for
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS, day_of
from tests.support.scorer import UsageLane, at, event
from tests.support.served import stub

pytestmark = pytest.mark.integration

STATE = "scorer-usage-events-state"


PAGE = b"""# TYPE tidemark_scorer_clock_apart_seconds gauge
tidemark_scorer_clock_apart_seconds{broker="kafka-1:9092"} -75.5
tidemark_ingest_clock_apart_seconds{broker="kafka-2:9092"} 0.0
"""


@pytest.fixture
def partitions() -> int:
    """As many as the tests name."""
    return 4


@pytest.fixture
def topic_names() -> Collection[str]:
    """Those that log time is in."""
    return ("usage-events", "usage-unattributed", STATE)


@pytest.fixture
def metrics_server() -> Iterator[str]:
    """Serve a page of metrics, and return its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE)

    with stub(Handler) as address:
        yield f"http://{address}"


@pytest.fixture
async def out(kafka_settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    async with producer(kafka_settings) as opened:
        yield opened


async def commit(kafka: KafkaSettings, out: AIOKafkaProducer, partition: int, lane: UsageLane, position: int) -> None:
    """Write what a lane's transaction would; the clock comes first, and much else after it."""
    records = lane.state_records()
    others = {f"x:{number}".encode(): b"\x02" for number in range(100)}
    for key, value in (*records.items(), *others.items(), (POSITION_KEY, Position(position).encode())):
        await out.send(kafka.scoped(STATE), value, key=key, partition=partition)
    await out.flush()


async def orders(kafka: KafkaSettings) -> list[tuple[int, str, dict[str, Any]]]:
    return sorted(
        [(r.partition, *codec.decode(r.value)) async for r in scan(kafka, "usage-events")],
        key=lambda each: each[0],
    )


async def invoke(kafka: KafkaSettings, *arguments: str) -> Any:
    """Run the tool as a person does; in a thread, since it runs a loop of its own."""
    app = typer.Typer()
    for module in (accounts, clock):
        module.register(app)
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": kafka.topic_prefix,
        "TIDEMARK_PARTITIONS": str(kafka.partitions),
    }
    return await asyncio.to_thread(CliRunner(env=env).invoke, app, list(arguments), catch_exceptions=False)


async def test_lanes_say_where_they_stand_by_the_end_of_their_state(
    kafka_settings: KafkaSettings, out: AIOKafkaProducer
) -> None:
    counted = UsageLane()
    counted.event("e", when=at(0, 1))
    driven = UsageLane(start=0)
    driven.clock("DRIVEN", at(2), 7)
    driven.event("live", when=at(400))
    await commit(kafka_settings, out, 1, counted, 12)
    await commit(kafka_settings, out, 2, driven, 5)

    assert await read_lanes(kafka_settings) == {
        0: LaneFacts(),
        1: LaneFacts(12, at(0, 1), None, driven=False, epoch=0, counted=True),
        2: LaneFacts(5, at(2), None, driven=True, epoch=7, deferred=1),
        3: LaneFacts(),
    }


async def test_a_lane_that_was_asked_to_step_too_far_waits_for_all_to_see(
    kafka_settings: KafkaSettings, out: AIOKafkaProducer
) -> None:
    lane = UsageLane()
    lane.tick(at(9))
    await commit(kafka_settings, out, 1, lane, 2)

    assert (await read_lanes(kafka_settings))[1].waiting == at(9)
    shown = await invoke(kafka_settings, "clock", "show")
    assert "WAITS: was asked to step to 2024-10-13T00:00:00Z" in shown.stdout
    assert "tidemark clock accept" in shown.stdout
    with pytest.raises(OSError, match=r"partitions \[1\] wait for a person"):
        await asyncio.to_thread(cluster.log_time, Running(kafka_settings, None, None, None, None, None))


async def test_an_order_goes_to_every_partition_or_to_those_that_are_named(kafka_settings: KafkaSettings) -> None:
    before = time.time_ns() // 1_000_000
    assert await order(kafka_settings, "ACCEPT") == [0, 1, 2, 3]
    assert await order(kafka_settings, "REFUSE", [2]) == [2]
    with pytest.raises(Fatal, match=r"no partitions \[9\]"):
        await order(kafka_settings, "ACCEPT", [1, 9])

    written = await orders(kafka_settings)
    assert [(p, name, value["mode"]) for p, name, value in written] == [
        (0, "clock", "ACCEPT"), (1, "clock", "ACCEPT"), (2, "clock", "ACCEPT"), (2, "clock", "REFUSE"),
        (3, "clock", "ACCEPT"),
    ]  # fmt: skip
    assert all(value["epoch"] == 0 and value["at"] >= before for _, _, value in written)


async def test_the_time_since_the_last_run_is_accepted_where_lanes_cannot_walk_it_and_only_there(
    kafka_settings: KafkaSettings, out: AIOKafkaProducer
) -> None:
    now = time.time_ns() // 1_000_000
    assert await accept_absence(kafka_settings) == ""
    driven = UsageLane(start=0)
    driven.clock("DRIVEN", at(2), 7)
    await commit(kafka_settings, out, 0, UsageLane(start=now - 9 * DAY_MS - 3_700_000), 1)
    await commit(kafka_settings, out, 1, UsageLane(start=now), 1)
    await commit(kafka_settings, out, 2, driven, 1)
    await commit(kafka_settings, out, 3, UsageLane(start=now - 2 * DAY_MS), 1)

    said = await accept_absence(kafka_settings)

    assert "time since the last run: 9 d 1 h" in said
    assert [(p, value["mode"]) for p, _, value in await orders(kafka_settings)] == [(0, "ACCEPT")]


async def test_the_commands_say_what_they_do(kafka_settings: KafkaSettings, out: AIOKafkaProducer) -> None:
    await commit(kafka_settings, out, 1, UsageLane(start=time.time_ns() // 1_000_000 - 5 * 60_000), 1)

    shown = await invoke(kafka_settings, "clock", "show")
    accepted = await invoke(kafka_settings, "clock", "accept", "--partition", "1")
    told = json.loads((await invoke(kafka_settings, "clock", "show", "--json")).stdout)

    assert "partition 0   not started" in shown.stdout
    assert "5 min" in shown.stdout
    assert "accepted on partitions [1]" in accepted.stdout
    assert told["1"]["position"] == 1


async def test_quarantined_accounts_are_listed_with_their_reason_and_released_by_an_order(
    kafka_settings: KafkaSettings, out: AIOKafkaProducer
) -> None:
    async def state(account: str, value: bytes | None) -> None:
        topic = kafka_settings.scoped(STATE)
        await out.send_and_wait(topic, value, key=b"q:" + account.encode(), partition=1)

    why = encode_quarantine(Quarantine("ValueError: no such ring", at(3), 7))
    for account in ("globex", "acme", "initech"):
        await state(account, why)
    await state("initech", None)

    assert await quarantined(kafka_settings) == [
        Quarantined("acme", 1, "ValueError: no such ring", at(3), frozen=True),
        Quarantined("globex", 1, "ValueError: no such ring", at(3), frozen=True),
    ]
    listed = await invoke(kafka_settings, "accounts", "quarantined")
    assert "acme  partition 1, since 2024-10-07T00:00:00Z: ValueError: no such ring" in listed.stdout

    with pytest.raises(Fatal, match="'acmee' is not quarantined; do you mean acme"):
        await release(kafka_settings, "acmee")
    await release(kafka_settings, "acme")
    ((partition, name, value),) = await orders(kafka_settings)
    assert (partition, name) == (partition_for(b"acme", kafka_settings.partitions), "command")
    assert (value["command"], value["account"]) == ("RELEASE", "acme")


async def test_a_pause_in_which_no_day_has_ended_closes_none(
    kafka_settings: KafkaSettings, out: AIOKafkaProducer
) -> None:
    now = time.time_ns() // 1_000_000
    await commit(kafka_settings, out, 0, UsageLane(start=now - 125_000), 1)

    said = await accept_absence(kafka_settings)

    ended = day_of(now - 125_000) < day_of(time.time_ns() // 1_000_000)
    assert said.startswith("time since the last run: 2 min ")
    assert ("days are closed" in said) == ended


def test_doctor_says_which_service_and_broker_are_apart(metrics_server: str) -> None:
    with pytest.raises(OSError, match="scorer and broker kafka-1:9092 are 76 s apart"):
        running.apart({"scorer": metrics_server})


async def test_the_doctor_names_an_ingest_whose_clock_is_wrong_though_it_asks_another(
    kafka_settings: KafkaSettings,
) -> None:
    async def take(by: str, ahead_ms: int, **changes: Any) -> None:
        now = time.time_ns() // 1_000_000 + ahead_ms
        value = event(f"{by}-{ahead_ms}", when=now, accepted_by=by, **changes)
        await sender.send_and_wait(kafka_settings.scoped("usage-events"), encode(value), b"acme")

    encode = codec.encoder("usage_event", 2)
    sender = producer(kafka_settings)
    await sender.start()
    try:
        assert "no process has taken an event" in await asyncio.to_thread(clocks.ingests, kafka_settings)
        await take("east-0", 0)
        await take("east-0", -20 * 60_000)  # what waited for Kafka
        await take("west-0", -DAY_MS, forwards=1)  # what waited for its account
        await take("past-0", -DAY_MS, epoch=3)
        assert await asyncio.to_thread(clocks.ingests, kafka_settings) == "east-0 and the brokers agree"

        await take("west-0", 3_600_000)
        await take("north-0", -3_600_000)
    finally:
        await sender.stop()

    with pytest.raises(
        OSError, match=r"north-0 is 3600 s behind the brokers; west-0 is 3[56]\d\d s ahead of the brokers"
    ):
        await asyncio.to_thread(clocks.ingests, kafka_settings)


def test_of_events_that_name_no_process_one_that_was_received_after_its_append_tells() -> None:
    slow, right, ahead = (clocks.Taken("", 1_000_000 + late, 1_000_000) for late in (-900_000, -5, 120_000))

    assert clocks.apart([slow, right]) == {
        "the ingest that took the latest events (records of format level 1 do not name it)": 0.0
    }
    assert list(clocks.apart([slow, ahead, right]).values()) == [120.0]
