"""The ledger closes when log, dead letters and counters agree, and names the partition and line where they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas import codec
from services.cli import ledger_audit
from services.scorer.domain.attribution.ledger import AttributionCounters
from services.scorer.domain.counters import LEDGER_KEY, encode_counters
from services.scorer.domain.lane.ledger import LedgerCounters
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.kafka.clients import producer
from services.shared.kafka.settings import KafkaSettings

pytestmark = pytest.mark.integration

event = codec.encoder("usage_event")
letter = codec.encoder("dead_letter")
link = codec.encoder("user_link")


@pytest.fixture
def partitions() -> int:
    """As many as the tests name."""
    return 4


@pytest.fixture
def topic_names() -> Collection[str]:
    """Those that the ledger is computed from."""
    return (
        "usage-events",
        "usage-unattributed",
        "usage-rejected",
        "dead-letters",
        "scorer-usage-events-state",
        "scorer-usage-unattributed-state",
    )


@dataclass
class Topics:
    """Writes what the services would have written."""

    kafka: KafkaSettings
    producer: AIOKafkaProducer
    ends: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(4), 0))

    async def event(self, event_id: str, partition: int, topic: str = "usage-events", **changes: Any) -> int:
        """Append a usage event and return its offset."""
        value = event(
            {"event_id": event_id, "id_source": "CLIENT", "source": "app", "environment": "production", "account": f"a{partition}",
             "user": "u", "kind": "TRACK", "name": "x", "occurred_at": 1, "received_at": 1, **changes}
        )  # fmt: skip
        sent = await self.producer.send_and_wait(self.kafka.scoped(topic), value, partition=partition)
        return int(sent.offset)

    async def letter(self, reason: str, by: str = "scorer", origin: str = "", original: str = "o") -> None:
        """Append a dead letter."""
        value = letter(
            {"rejected_at": 1, "by": by, "reason": reason, "detail": "", "source": "app", "origin": origin,
             "original": b"", "original_size": 0, "original_sha256": original}
        )  # fmt: skip
        topic = "usage-rejected" if by == "ingest" else "dead-letters"
        await self.producer.send_and_wait(self.kafka.scoped(topic), value, partition=0)

    async def attribution(self, partition: int, position: int, **counts: int) -> None:
        """Write what the lane of a partition of usage-unattributed knows."""
        topic = self.kafka.scoped("scorer-usage-unattributed-state")
        counters = encode_counters(AttributionCounters(**counts))
        for key, value in {POSITION_KEY: Position(position).encode(), LEDGER_KEY: counters}.items():
            await self.producer.send_and_wait(topic, value, key=key, partition=partition)

    async def same(self, user: str, known_as: str, partition: int) -> None:
        """Append that a user is the same person as another."""
        value = link(
            {"kind": "SAME", "user": user, "known_as": known_as, "authority": "BROWSER", "source": "app",
             "environment": "production", "occurred_at": 1, "received_at": 1}
        )  # fmt: skip
        await self.producer.send_and_wait(self.kafka.scoped("usage-unattributed"), value, partition=partition)

    async def given_up(self, offset: int, event_id: str, *, topic: str, **changes: Any) -> None:
        """Append the dead letter of an event that waited for too long in partition 0."""
        original = event(
            {"event_id": event_id, "id_source": "CLIENT", "source": "app", "environment": "production", "kind": "TRACK",
             "name": "x", "occurred_at": 1, "received_at": 1, **changes}
        )  # fmt: skip
        value = letter(
            {"rejected_at": 1, "by": "scorer", "reason": "no_account", "detail": "", "source": "app",
             "origin": f"{topic}/0/{offset}", "original": original, "original_size": 0, "original_sha256": event_id}
        )  # fmt: skip
        await self.producer.send_and_wait(self.kafka.scoped("dead-letters"), value, partition=0)

    async def lane(self, partition: int, position: int, **counts: int) -> None:
        """Write what the lane of a partition knows."""
        topic = self.kafka.scoped("scorer-usage-events-state")
        state = {POSITION_KEY: Position(position).encode(), LEDGER_KEY: encode_counters(LedgerCounters(**counts))}
        for key, value in state.items():
            await self.producer.send_and_wait(topic, value, key=key, partition=partition)


@pytest.fixture
async def topics(kafka_settings: KafkaSettings) -> AsyncIterator[Topics]:
    """Yield a writer of topics."""
    async with producer(kafka_settings) as open_producer:
        yield Topics(kafka_settings, open_producer)


async def test_a_record_that_nobody_can_read_does_not_stop_the_ledger(topics: Topics) -> None:
    """The scorer puts it on the dead letters; it is no event, so it is on no line."""
    await topics.event("1", 0)
    for topic in ("usage-events", "usage-unattributed", "usage-rejected", "dead-letters"):
        await topics.producer.send_and_wait(topics.kafka.scoped(topic), b"junk", partition=0)
    await topics.lane(0, 2, applied=1)

    ledger = await ledger_audit.read(topics.kafka)

    assert ledger.problems == []
    assert (ledger.accepted, ledger.total("applied"), ledger.without_account("awaiting")) == (1, 1, 0)


UNKNOWN = b"\0\0\1\0\0of another program"
"""A record in a schema with the id 65536."""


async def test_a_record_of_an_unknown_schema_is_named_and_the_rest_is_still_counted(topics: Topics) -> None:
    """Its lane stands at it. The ledger is open, since nobody here knows what the record says."""
    await topics.event("1", 0)
    for _ in range(2):
        await topics.producer.send_and_wait(topics.kafka.scoped("usage-events"), UNKNOWN, partition=0)
    await topics.event("2", 0)
    await topics.event("3", 1)
    await topics.lane(0, 1, applied=1)
    await topics.lane(1, 1, applied=1)

    ledger = await ledger_audit.read(topics.kafka)

    assert not ledger.closes
    assert (ledger.accepted, ledger.total("applied"), ledger.everywhere("in_flight")) == (3, 2, 1)
    [problem] = ledger.problems
    assert problem.startswith("usage-events/0/1 and 1 more record behind it: ")
    assert "schema id 65536" in problem
    assert ledger.as_dict()["unread"] == [{"topic": "usage-events", "partition": 0, "first_offset": 1, "records": 2}]


async def test_where_records_cannot_be_read_a_difference_may_come_of_them(topics: Topics) -> None:
    await topics.event("1", 0)
    for topic in ("usage-events", "usage-unattributed", "usage-rejected", "dead-letters"):
        await topics.producer.send_and_wait(topics.kafka.scoped(topic), UNKNOWN, partition=0)
    await topics.letter("no_account", origin="usage-unattributed/0/7")
    await topics.lane(0, 2, applied=2)

    *unread, difference = (await ledger_audit.read(topics.kafka)).problems

    places = ["dead-letters/0/0", "usage-events/0/1", "usage-rejected/0/0", "usage-unattributed/0/0"]
    assert [each.partition(":")[0] for each in unread] == places
    assert difference.startswith("partition 0: the lane counted 2 applied, there are 1")
    assert difference.endswith("may be the reason")


async def test_every_event_is_on_one_line(topics: Topics) -> None:
    for event_id in ("1", "2", "1", "3", "1"):
        await topics.event(event_id, 0)
    await topics.event("1", 1)
    too_late = await topics.event("old", 1)
    await topics.event("old", 1)
    poison = await topics.event("bad", 1)
    early = await topics.event("early", 1)
    await topics.event("early", 1)
    for _ in range(2):
        await topics.event("t", 2, environment="test")
    await topics.event("n1", 3)
    await topics.event("n2", 3)
    await topics.event("w", 0, topic="usage-unattributed", account="")
    await topics.event("w", 0, topic="usage-unattributed", account="")
    await topics.attribution(0, 2, waiting_identified=1, duplicates=1)
    await topics.letter("too_late", origin=f"usage-events/1/{too_late}")
    await topics.letter("bad_value", origin=f"usage-events/1/{poison}")
    await topics.letter("fold_raised", origin=f"usage-events/1/{early}")
    await topics.letter("bad_trait", origin="usage-events/0/0")
    for _ in range(2):
        await topics.letter("missing_field", by="ingest", original="same")
    await topics.lane(0, 5, applied=3, duplicates=2)
    await topics.lane(1, 6, applied=2, too_late=1, dead_lettered=2, duplicates=1)
    await topics.lane(2, 2, non_production=1, duplicates=1)
    await topics.lane(3, 1, applied=1)

    found = (await ledger_audit.read(topics.kafka)).as_dict()

    assert found["problems"] == []
    assert found["closes"]
    lines = ("accepted", "applied", "dead_lettered", "too_late", "non_production", "awaiting_an_account", "in_flight")
    assert {line: found[line] for line in lines} == {
        "accepted": 11, "applied": 6, "dead_lettered": 1, "too_late": 1, "non_production": 1,
        "awaiting_an_account": 1, "in_flight": 1,
    }  # fmt: skip
    apart = ("duplicates", "rejected", "rejected_repeats")
    assert [found[line] for line in apart] == [5, 1, 1]


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ({"applied": 3}, "the lane counted 3 applied, there are 2"),
        ({"applied": 1, "duplicates": 1}, "the lane counted 1 applied, there are 2"),
        ({"applied": 2}, "the lane counted 0 duplicates, there are 1"),
        ({"applied": 2, "duplicates": 1, "too_late": 1}, "the lane counted 1 too_late, there are 0"),
    ],
)
async def test_what_was_lost_or_doubled_opens_the_ledger(topics: Topics, counts: dict[str, int], problem: str) -> None:
    for event_id in ("1", "2", "1"):
        await topics.event(event_id, 2)
    await topics.lane(2, 3, **counts)

    found = await ledger_audit.read(topics.kafka)

    assert not found.closes
    assert any(each.startswith(f"partition 2: {problem}") for each in found.problems)


async def test_events_put_off_by_a_drive_are_a_line_of_their_own_until_they_come_again(topics: Topics) -> None:
    drive = codec.encoder("clock")
    topic = topics.kafka.scoped("usage-events")

    async def say(mode: str, epoch: int) -> None:
        await topics.producer.send_and_wait(topic, drive({"mode": mode, "epoch": epoch, "at": 1}), partition=2)

    await say("DRIVEN", 7)
    await topics.event("old", 2, epoch=7)
    for event_id in ("1", "2", "2"):
        await topics.event(event_id, 2)
    await topics.lane(2, 5, applied=1, deferred=3)
    during = await ledger_audit.read(topics.kafka)

    await say("LIVE", 0)
    for event_id in ("1", "2", "2"):
        await topics.event(event_id, 2)
    await topics.lane(2, 9, applied=3, deferred=3, duplicates=1)
    after = await ledger_audit.read(topics.kafka)

    assert (during.problems, during.accepted, during.total("applied"), during.total("deferred")) == ([], 3, 1, 2)
    assert (after.problems, after.accepted, after.total("applied"), after.total("deferred")) == ([], 3, 3, 0)


async def test_an_event_that_was_forwarded_is_counted_where_it_came_to(topics: Topics) -> None:
    # Given one event that was forwarded, one that was moved and then forwarded, one that waits, one that was given up,
    # one that was given up and sent in again, a visitor's, one of another environment, and one that nobody has read yet.
    one: dict[str, Any] = {"topic": "usage-unattributed", "account": "", "user": "u_kim"}
    await topics.event("forwarded", 0, **one)
    await topics.event("moved", 0, **{**one, "user": "u_anon"})
    await topics.event("moved", 1, **one, forwards=1)
    await topics.event("waits", 0, **one)
    given_up = await topics.event("given-up", 0, **one)
    again = await topics.event("again", 0, **one)
    await topics.event("again", 0, **one, forwards=1)
    await topics.event("visitor", 0, **{**one, "user": "u_anon"})
    await topics.event("staging", 0, **one, environment="staging")
    await topics.event("forwarded", 0, **one)
    await topics.event("new", 0, **one)
    await topics.same("u_anon", "u_kim", 0)
    for event_id, forwards in (("forwarded", 1), ("moved", 2), ("again", 2)):
        await topics.event(event_id, 2, user="u_kim", via="USER", forwards=forwards)
    for offset, event_id in ((given_up, "given-up"), (again, "again")):
        await topics.given_up(offset, event_id, **one)
    await topics.lane(2, 3, applied=3)
    await topics.attribution(
        0, 9, forwarded_user=2, moved=1, waiting_identified=1, expired_identified=2, expired_anonymous=1,
        non_production=1, duplicates=1,
    )  # fmt: skip
    await topics.attribution(1, 1, forwarded_operator=1)

    found = (await ledger_audit.read(topics.kafka)).as_dict()

    assert found["problems"] == []
    lines = (
        "accepted",
        "applied",
        "awaiting_an_account",
        "unresolved",
        "never_identified",
        "non_production",
        "in_flight",
    )
    assert [found[line] for line in lines] == [8, 3, 1, 1, 1, 1, 1]
    assert (found["forwarded"], found["resolved"], found["duplicates"]) == (3, 1, 1)


async def test_of_two_users_with_an_event_of_one_id_each_is_counted_where_it_is(topics: Topics) -> None:
    # Given two visitors whose events have one id: one of them has logged in, the other waits;
    one: dict[str, Any] = {"topic": "usage-unattributed", "account": ""}
    await topics.event("m1", 0, **one, user="u_anon-1")
    await topics.same("u_anon-1", "u_kim", 0)
    await topics.event("m1", 0, **one, user="u_anon-2")
    await topics.event("m1", 1, **one, user="u_kim", forwards=1)
    # and the same where nobody has read the second yet.
    await topics.event("m2", 2, **one, user="u_anon-1")
    await topics.event("m2", 1, **one, user="u_kim", forwards=1)
    await topics.event("m2", 2, **one, user="u_anon-2")
    await topics.attribution(0, 3, moved=1, waiting_anonymous=1)
    await topics.attribution(1, 2, waiting_identified=2)
    await topics.attribution(2, 1, moved=1)

    found = await ledger_audit.read(topics.kafka)

    assert found.problems == []
    assert (found.without_account("awaiting"), found.everywhere("in_flight"), found.accepted) == (3, 1, 4)


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ({"forwarded_user": 1}, "the lane counted 1 forwarded, there are 0"),
        ({"moved": 1}, "the lane counted 1 moved, there are 0"),
        ({"expired_identified": 1}, "the lane counted 1 given up, there are 0"),
        ({"waiting_identified": 2}, "the lane counted 2 in all, there are 1"),
        ({}, "the lane counted 0 in all, there are 1"),
    ],
)
async def test_what_attribution_has_lost_opens_the_ledger(topics: Topics, counts: dict[str, int], problem: str) -> None:
    await topics.event("1", 2, topic="usage-unattributed", account="", user="u_kim")
    await topics.attribution(2, 1, **counts)

    found = await ledger_audit.read(topics.kafka)

    assert any(each.startswith(f"partition of usage-unattributed 2: {problem}") for each in found.problems)


async def test_what_is_forwarded_and_not_committed_yet_is_counted_once(topics: Topics) -> None:
    await topics.event("1", 2, topic="usage-unattributed", account="", user="u_kim")
    await topics.event("1", 0, user="u_kim", via="USER", forwards=1)

    found = await ledger_audit.read(topics.kafka)

    assert (found.problems, found.accepted, found.everywhere("in_flight")) == ([], 1, 1)


async def test_an_empty_deployment_closes(kafka_settings: KafkaSettings) -> None:
    found = await ledger_audit.read(kafka_settings)

    assert (found.closes, found.accepted) == (True, 0)
