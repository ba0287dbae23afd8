"""
`tidemark explain` over the real log: what it recomputes is what scorer and alerter put out, and errors say what is there.

Scorer, fleet and alerter run over a log in memory; what is on it then goes to the broker, record for record.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from schemas import codec
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.cli.commands import explain as command
from services.cli.commands import signals
from services.cli.examining import cluster
from services.cli.explaining import reading
from services.cli.explaining.reading import Explained
from services.cli.held import iso, read_held
from services.cli.local.stack_state import Running
from services.scorer.domain.lane.clock import SWEEP_MS
from services.scorer.lanes import fleet_lane, usage_lanes
from services.shared.engine.memory.runner import MemoryRunner
from services.shared.errors import Fatal
from services.shared.kafka import topics
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS, HOUR_MS
from tests.conftest import Kafka
from tests.support.scorer import MODEL, PLAN, Log, tick

pytestmark = [pytest.mark.integration, pytest.mark.timeout(170)]

DAYS, STOPS, AWAY = 98, 80, 91
LAST = time.time_ns() // 1_000_000 // DAY_MS - 1
"""The last closed day of the log: yesterday, so that it is published when it should be."""
FIRST = LAST - DAYS + 1
TOPICS = ("usage-events", "account-health", "account-health-latest")
RULES = load_rules()

tool = typer.Typer()
command.register(tool)
signals_tool = typer.Typer()
signals.register(signals_tool)


def at(day: int, hour: float = 0) -> int:
    return int((FIRST + day) * DAY_MS + hour * HOUR_MS)


def played() -> Log:
    """Return a log of fourteen weeks: `stops` is silent from day 80 on, `away` by plan from day 91 on, the others are not."""
    log = Log(4)
    runner = MemoryRunner(
        log.memory, [usage_lanes(4, PLAN, MODEL, 200_000), fleet_lane(), alerter_lanes(RULES, AlerterMetrics(CollectorRegistry()))]
    )  # fmt: skip
    for account in ("stops", "away"):
        traits = {"name": account.title(), "seats": 9, "country": "DE"}
        log.event(f"facts-{account}", account, "", at(0, 8), kind="GROUP", properties=traits)
    absence = {"from": iso(FIRST + AWAY), "to": iso(FIRST + AWAY + 20), "scope": "account"}
    for day in range(DAYS):
        if day == AWAY - 5:
            log.event("absence", "away", "kim", at(day, 9), name="Planned Absence", properties=absence)
        for number in range(12):
            for person in range(2):
                log.event(f"{day}-{number}-{person}", f"other-{number}", f"p{person}", at(day, 9 + person))
        for account, last in (("stops", STOPS), ("away", AWAY)):
            for person in range(4 if day < last else 0):
                log.event(f"{day}-{account}-{person}", account, f"p{person}", at(day, 9 + person))
        for late in (at(day, 23), at(day + 1), at(day + 1) + SWEEP_MS, at(day + 1) + 2 * SWEEP_MS):
            log.control("tick", tick(late))
            runner.run()
    return log


@pytest.fixture(scope="module")
def log() -> Log:
    return played()


@pytest.fixture(scope="module")
def filled(kafka: Kafka, log: Log) -> Iterator[KafkaSettings]:
    """A deployment whose topics hold the log."""
    prefix = f"t{uuid.uuid4().hex[:12]}-"
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap, topic_prefix=prefix, partitions=4)

    async def fill() -> None:
        await topics.create(settings)
        async with producer(settings) as out:
            for topic in TOPICS:
                sent = [
                    await out.send(settings.scoped(topic), record.value, key=record.key, partition=record.partition)
                    for record in log.memory.records(topic)
                ]
                await asyncio.gather(*sent)

    asyncio.run(fill())
    yield settings
    asyncio.run(topics.delete(settings))


async def explained(filled: KafkaSettings, account: str, day: int | None) -> Explained:
    return await reading.explain(filled, account, None if day is None else FIRST + day, PLAN, MODEL, RULES)


def published(log: Log, account: str, day: int) -> dict[str, Any]:
    snapshots = [codec.decode(record.value or b"")[1] for record in log.memory.records("account-health")]
    return next(
        each
        for each in snapshots
        if (each["account"], each["day"], each["reason"]) == (account, FIRST + day, "DAY_CLOSE")
    )


async def tidemark(filled: KafkaSettings, *arguments: str, by: typer.Typer = tool) -> Result:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": filled.bootstrap_servers,
        "TIDEMARK_TOPIC_PREFIX": filled.topic_prefix,
        "TIDEMARK_PARTITIONS": str(filled.partitions),
    }
    return await asyncio.to_thread(CliRunner(env=environment).invoke, by, list(arguments))


async def test_what_is_recomputed_of_a_day_is_what_the_scorer_published_of_it(filled: KafkaSettings, log: Log) -> None:
    for account, day in (("stops", 70), ("stops", 84), ("stops", DAYS - 1), ("away", 95), ("other-3", 60)):
        found = await explained(filled, account, day)
        then = published(log, account, day)

        assert found.day == FIRST + day
        for field in ("score_tenths", "band", "measures", "parts", "facts", "dates", "sequence", "model_version"):
            assert found.judgement.snapshot[field] == then[field], (account, day, field)

    last = await explained(filled, "stops", DAYS - 1)
    assert last.published is not None
    assert last.published["score_tenths"] == last.judgement.snapshot["score_tenths"]


async def test_it_shows_measures_state_and_the_signals_that_were_open_then(filled: KafkaSettings) -> None:
    before = json.loads((await tidemark(filled, "stops", "--at", iso(FIRST + 79), "--json")).stdout)
    after = json.loads((await tidemark(filled, "stops", "--at", iso(FIRST + 96), "--json")).stdout)

    assert before["signals"] == []
    assert [signal["rule"] for signal in after["signals"]] == ["usage_silent"]
    usage = after["dimensions"]["usage"]["measures"]
    assert usage["silent_days"]["value"] > 7
    assert usage["level_4w"]["from"] == ["counts.active"]
    assert after["computed_from"]["counts.active"].startswith("the last 14 days 0 0 0")
    assert after["computed_from"]["facts.country"].startswith("DE since")
    contributions = [
        entry.get("contribution", 0) for place in after["dimensions"].values() for entry in place["measures"].values()
    ]
    cap = after["dimensions"].get("silence_cap", {"points": 0})["points"]
    assert round(sum(contributions) + cap, 1) == after["score"]


async def test_of_a_rule_it_shows_each_condition_its_threshold_and_the_nearest_day(filled: KafkaSettings) -> None:
    told = json.loads(
        (await tidemark(filled, "stops", "--at", iso(FIRST + 84), "--rule", "usage_decline", "--json")).stdout
    )
    level = told["fires"]["all"][0]["any"][0]["all"][0]

    assert told["verdict"] == "its conditions do not hold"
    assert (level["measure"], level["threshold"], level["holds"]) == ("level_4w", 0.5, False)
    assert level["closest"]["day"] == iso(FIRST + 84)
    assert level["closest"]["value"] == level["value"] > 0.5
    assert told["nearest_day"]["conditions"][0].startswith("level_4w below")

    later = json.loads(
        (await tidemark(filled, "stops", "--at", iso(FIRST + 96), "--rule", "usage_silent", "--json")).stdout
    )
    assert later["verdict"].startswith("it is open since")
    assert later["transitions"][0]["transition"] == "firing"


async def test_an_account_that_is_away_by_plan_is_shown_as_held(filled: KafkaSettings) -> None:
    told = (await tidemark(filled, "away", "--at", iso(FIRST + DAYS - 1))).stdout
    rule = (await tidemark(filled, "away", "--at", iso(FIRST + DAYS - 1), "--rule", "usage_silent")).stdout
    held = await read_held(filled, RULES)
    said = await asyncio.to_thread(cluster.held, Running(filled, None, None, None, None, None))
    listed = (await tidemark(filled, "signals", "held", by=signals_tool)).stdout

    assert f"away by plan from {iso(FIRST + AWAY)}" in told
    assert "so these rules are held: " in told
    assert "no signal is open" in told
    assert "held while" in rule
    assert "yes calendar_level below 75 %: 0 %" in rule
    assert [each.account for each in held] == ["away"]
    assert f"Away (away): away by plan from {iso(FIRST + AWAY)} to {iso(FIRST + AWAY + 20)}" in listed
    assert said.startswith("usage signals of 1 account are held by planned absences, public holidays or programs")
    assert "1 held by their own calendars or programs" in listed


async def test_an_unknown_account_is_told_what_is_there(filled: KafkaSettings) -> None:
    with pytest.raises(Fatal, match=r"no account 'stop' .* reaches from .* do you mean stops\?"):
        await explained(filled, "stop", None)


@pytest.mark.parametrize("day", [-1, DAYS + 5])
async def test_a_day_outside_the_log_is_told_how_far_the_log_reaches(filled: KafkaSettings, day: int) -> None:
    with pytest.raises(Fatal, match=f"reaches from {iso(FIRST)} to {iso(FIRST + DAYS)}"):
        await explained(filled, "stops", day)


async def test_a_rule_that_does_not_exist_is_told_which_there_are(filled: KafkaSettings) -> None:
    found = await tidemark(filled, "stops", "--rule", "usage_silence")

    assert isinstance(found.exception, Fatal)
    assert "there are" in str(found.exception)
    assert "usage_silent" in str(found.exception)
