"""The plan is compared with the log as ingest writes it: what it names on the long log, the rest with the details."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.cli.plan.comparing import PlanComparison
from services.cli.plan.logged import Sample, read_log
from services.cli.plan.observed import Observed
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.submission import Submission
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings
from services.shared.tracking_plan.event_check import Beside
from services.shared.tracking_plan.reading import read_plan
from services.shared.units import DAY_MS
from tests.support.ingest import rules, submit

pytestmark = pytest.mark.integration

PLAN: dict[str, Any] = {
    "events": {
        "Report Exported": {
            "properties": {
                "rows": {"type": "whole_number", "required": True},
                "recipient": {"type": "text", "required": True, "personal": True},
            }
        }
    },
    "pages": {"report": {"paths": ["/reports/*"]}},
}


DAY = 1_800_000_000_000 // DAY_MS
"""The day on which `submit` takes calls."""
BESIDE = Beside(day=DAY)


def call(number: int, **changes: Any) -> dict[str, Any]:
    properties = {"rows": 1, "recipient": "ann@acme.example", "other": 1}
    return {
        "type": "track", "event": "report_exported", "userId": "ann", "groupId": "acme", "messageId": f"m{number}",
        "properties": properties, **changes,
    }  # fmt: skip


async def ingested(kafka: KafkaSettings, *calls: dict[str, Any]) -> None:
    """Append to the log what ingest makes of some calls."""
    log = MemoryEventLog()
    await submit(rules(PLAN), Submission(json.dumps({"batch": calls}).encode()), log)
    async with producer(kafka) as out:
        sent = [
            await out.send(kafka.scoped(topic), record.value, key=record.key)
            for topic, records in log.records.items()
            for record in records
        ]
        await asyncio.gather(*sent)


async def read(kafka: KafkaSettings, since_ms: int = 0, most: int = 1_000) -> tuple[list[Observed], Sample]:
    found: list[Observed] = []

    def take(observed: Observed) -> None:
        found.append(observed)

    sample = await read_log(kafka, since_ms, take, most)
    return sorted(found, key=str), sample


async def test_the_log_and_its_details_are_one_event_again(kafka_settings: KafkaSettings) -> None:
    await ingested(
        kafka_settings, call(1), call(1), call(2, groupId=None), call(3, properties={"rows": "many"}),
        {"type": "page", "userId": "ann", "messageId": "p", "context": {"page": {"path": "/reports/7"}}},
        {"type": "track", "event": "Nightly Job", "groupId": "acme", "messageId": "s",
         "context": {"actor": "robot"}},
    )  # fmt: skip
    found, sample = await read(kafka_settings)

    assert sample == Sample(1, 0)
    whole = {"rows": 1, "recipient": "ann@acme.example", "other": 1}
    assert found == [
        Observed("PAGE", "report", "/reports/7", {}, BESIDE),
        Observed("TRACK", "Nightly Job", "", {}, Beside(None, False, DAY)),
        Observed("TRACK", "report_exported", "", {"rows": "many"}, BESIDE),
        Observed("TRACK", "report_exported", "", whole, BESIDE),
        Observed("TRACK", "report_exported", "", whole, BESIDE),
    ]
    compared = PlanComparison(read_plan(PLAN))
    for each in found:
        compared.add(each)
    assert sorted((way.field, count) for way, count in compared.breaks.items()) == [
        ("context.actor", 1),
        ("properties.recipient", 1),
        ("properties.rows", 1),
    ]


async def test_of_many_events_the_same_sample_is_taken_on_every_topic(kafka_settings: KafkaSettings) -> None:
    await ingested(kafka_settings, *(call(number) for number in range(400)))
    found, sample = await read(kafka_settings, most=100)

    assert sample == Sample(4, 0)
    assert 50 < len(found) < 160
    assert {each.properties["recipient"] for each in found} == {"ann@acme.example"}


async def test_what_is_older_is_not_looked_at(kafka_settings: KafkaSettings) -> None:
    await ingested(kafka_settings, call(1))

    assert await read(kafka_settings, since_ms=32_503_680_000_000) == ([], Sample(1, 0))
