"""A drive whose rows name the account once: they are on their account, in the epoch, before their day ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from schemas import codec
from services.backfill.sender import IngestSender
from services.backfill.service import Mode, Options, backfill
from services.cli import ledger_audit
from services.scorer.lane_facts import read_lanes, read_positions
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS, HOUR_MS
from tests.integration.backfill.conftest import TODAY
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(170)]

FIRST = (TODAY - 6) * DAY_MS
DAYS = 4


class Sessions:
    """Three users, each of whom names an account at noon of the second day and does something every three hours."""

    name = "sessions"
    sha256 = "sessions"
    stem = "m"
    first_ms = FIRST

    def events(self) -> Iterator[tuple[int, dict[str, object]]]:
        number = 0
        for hour in range(0, 24 * DAYS, 3):
            for user in range(3):
                number += 1
                at_ms = FIRST + hour * HOUR_MS + user
                call = {"userId": f"u{user}", "messageId": f"m{number}", "timestamp": _iso(at_ms)}
                if hour == 36:
                    yield at_ms, {**call, "type": "group", "groupId": f"a{user}"}
                else:
                    yield at_ms, {**call, "type": "track", "event": "Report Shared"}


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.usefixtures("scorer")
async def test_rows_without_an_account_are_on_it_before_their_day_ends(
    ingest: str, kafka_settings: KafkaSettings
) -> None:
    async with IngestSender(ingest, "past") as sender:
        await sender.ready()
        outcome = await backfill(
            Sessions(), sender, kafka_settings, Options(read_lanes, read_positions, fleet_within_s=60)
        )

    rows = 24 * DAYS
    assert (outcome.mode, outcome.tally.accepted + outcome.tally.unattributed) == (Mode.DRIVEN, rows)
    assert outcome.tally.unattributed == rows - 3
    reached = dict.fromkeys(range(kafka_settings.partitions), 0)
    handed_over: set[int] = set()
    found: list[dict[str, object]] = []
    async for record in scan(kafka_settings, "usage-events"):
        name, value = codec.decode(record.value or b"")
        if name == "clock" and value["mode"] == "LIVE":
            handed_over.add(record.partition)
        elif name == "tick" and value["epoch"] and value["at"] % DAY_MS == 0:
            reached[record.partition] = value["at"]
        elif name == "usage_event":
            assert record.partition not in handed_over
            assert value["epoch"]
            assert value["occurred_at"] >= reached[record.partition] or value["occurred_at"] < FIRST + 36 * HOUR_MS
            found.append(value)
    assert len(found) == len({value["event_id"] for value in found}) == rows
    assert len({(value["user"], value["account"]) for value in found}) == 3
    assert len({value["account"] for value in found}) == 3

    async def closed() -> bool:
        ledger = await ledger_audit.read(kafka_settings)
        return ledger.closes and ledger.total("applied") == rows and not ledger.without_account("awaiting")

    await until(closed, 60)
