"""
The part of the ledger that is about events without an account, computed from the topics and compared with the lanes' counters.

An event comes to usage-unattributed under its user. Its lane forwards it to usage-events, moves it to the lane of the
person that its user is, lets it wait, or gives it up. Each of these leaves a trace that another program wrote: the
forwarded record, the moved record, the dead letter. Here the traces are counted. A moved record does not say under whom
it was before, and two users may have events of one id; so it counts as the trace of an event only where a link has said that
the users are one person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import xxhash

from schemas.topics import DEAD_LETTERS, USAGE_UNATTRIBUTED
from services.cli.lane_counters import differences
from services.cli.unread import Unread
from services.scorer.domain.attribution.ledger import AttributionCounters
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings

GIVEN_UP = frozenset({"no_account", "several_accounts", "too_many_forwards"})
"""Reasons of dead letters of events that were read, and that nobody could say the account of."""


@dataclass(slots=True)
class AttributionPart:
    """The ledger of one partition of usage-unattributed."""

    partition: int
    position: int = 0
    """Offset at which the lane goes on."""
    end: int = 0
    records: int = 0
    """Event records before `position`, repeats included."""
    forwarded: int = 0
    """By the lane's own count: these are on usage-events, and counted there."""
    moved: int = 0
    """By the lane's own count: these are in the lane of another user, and counted there."""
    awaiting: int = 0
    unresolved: int = 0
    """Given up, of identified users: on dead-letters, and not sent in again since."""
    anonymous: int = 0
    """Given up, of visitors whom nobody ever knew: in the log alone."""
    resolved: int = 0
    """Given up, and sent in again since."""
    dead_lettered: int = 0
    """Unreadable or failing."""
    non_production: int = 0
    duplicates: int = 0
    in_flight: int = 0
    """Not read yet, and not forwarded or moved by a transaction that is under way."""
    problems: list[str] = field(default_factory=list)


def identity_of(source: str, user: str, event_id: str, forwards: int) -> int:
    """Return what no two events of usage-unattributed share."""
    return xxhash.xxh3_64_intdigest(f"{source}\0{user}\0{event_id}\0{forwards}".encode())


Origin = tuple[str, int]
"""User of an event, and the hash without its user that it has once it was moved."""


@dataclass(slots=True)
class _Moves:
    """Which events were moved to which users, and who was said to be the same person as whom."""

    users: dict[int, set[str]] = field(default_factory=dict)
    """Who has an event that was moved or sent in again, by its hash without the user."""
    known_as: dict[str, set[str]] = field(default_factory=dict)
    """By user: all that links have named, whether attribution has believed them or not."""

    def have(self, origin: Origin) -> bool:
        """Return whether an event was moved on."""
        user, moved = origin
        return not self.known_as.get(user, set()).isdisjoint(self.users.get(moved, ()))


@dataclass(slots=True)
class _Trail:
    """What the log says about one partition."""

    ids: dict[int, Origin] = field(default_factory=dict)
    """Of each production event before the position: where it would be moved from."""
    others: set[int] = field(default_factory=set)
    """The same of other environments."""
    beyond: dict[int, Origin] = field(default_factory=dict)
    records: int = 0
    set_aside: int = 0
    letters: int = 0
    resolved: int = 0


async def read(
    kafka: KafkaSettings, lanes: Mapping[int, tuple[int, AttributionCounters]], forwarded: set[int], unread: Unread
) -> list[AttributionPart]:
    """
    Do the sums.

    Args:
        kafka: The cluster.
        lanes: As `read_counters` gave them before usage-events was read: what they had forwarded by then must be there.
        forwarded: The identities that events with an account had before they were forwarded.
        unread: Takes the records that cannot be read; those of dead-letters are there already.
    """
    limits = await ends(kafka, USAGE_UNATTRIBUTED)
    letters = await _letters(kafka, unread)
    trails = {partition: _Trail() for partition in limits}
    moves = _Moves()
    sent_again: set[int] = set()
    async for record in scan(kafka, USAGE_UNATTRIBUTED, stop=limits):
        name, value = unread.decoded(USAGE_UNATTRIBUTED, record)
        if name == "user_link" and value["kind"] == "SAME" and value["user"] != value["known_as"]:
            moves.known_as.setdefault(value["user"], set()).add(value["known_as"])
        if name != "usage_event" or not value["user"] or value["account"]:
            continue
        if value["forwards"]:
            sent_again.add(_identity(value))
            moves.users.setdefault(_thing(value), set()).add(value["user"])
        position = lanes.get(record.partition, (0, AttributionCounters()))[0]
        _note(trails[record.partition], value, record.offset, position, letters.get(record.partition, {}))
    for partition, found in letters.items():
        position = lanes.get(partition, (0, AttributionCounters()))[0]
        for offset, (reason, given_up) in found.items():
            if partition in trails and offset < position and reason in GIVEN_UP and given_up is not None:
                trails[partition].resolved += _identity(given_up, 1) in sent_again
    return [
        _part(partition, trails[partition], lanes.get(partition, (0, AttributionCounters())), limits[partition], forwarded, moves)
        for partition in sorted(limits)
    ]  # fmt: skip


def _identity(value: Mapping[str, Any], more: int = 0) -> int:
    event_id = value["event_id"]
    if value["environment"] != "production":
        event_id += f"\0{value['environment']}"
    return identity_of(value["source"], value["user"], event_id, value["forwards"] + more)


def _thing(value: Mapping[str, Any], more: int = 0) -> int:
    return identity_of(value["source"], "", value["event_id"], value["forwards"] + more)


def _note(
    trail: _Trail, value: Mapping[str, Any], offset: int, position: int, letters: Mapping[int, tuple[str, Any]]
) -> None:
    identity = _identity(value)
    if offset >= position:
        trail.beyond[identity] = (value["user"], _thing(value, 1))
        return
    trail.records += 1
    letter = letters.get(offset)
    if letter is not None and letter[0] not in GIVEN_UP:
        trail.set_aside += 1
    elif value["environment"] == "production":
        trail.ids.setdefault(identity, (value["user"], _thing(value, 1)))
    else:
        trail.others.add(identity)
    if letter is not None and letter[0] in GIVEN_UP:
        trail.letters += 1


def _part(
    partition: int, trail: _Trail, lane: tuple[int, AttributionCounters], end: int, forwarded: set[int], moves: _Moves
) -> AttributionPart:  # fmt: skip
    position, counted = lane
    found_forwarded = sum(1 for identity in trail.ids if identity in forwarded)
    found_moved = sum(1 for identity, origin in trail.ids.items() if identity not in forwarded and moves.have(origin))
    repeats = trail.records - len(trail.ids) - len(trail.others) - trail.set_aside
    part = AttributionPart(
        partition=partition,
        position=position,
        end=end,
        records=trail.records,
        forwarded=counted.forwarded,
        moved=counted.moved,
        awaiting=counted.waiting,
        unresolved=counted.dead_lettered - trail.resolved,
        anonymous=counted.dropped,
        resolved=trail.resolved,
        dead_lettered=trail.set_aside,
        non_production=counted.non_production,
        duplicates=counted.duplicates,
        in_flight=sum(
            1
            for identity, origin in trail.beyond.items()
            if identity not in trail.ids
            and identity not in trail.others
            and identity not in forwarded
            and not moves.have(origin)
        ),
    )
    counts = counted.forwarded + counted.moved + counted.waiting + counted.dead_lettered + counted.dropped
    checks = [
        ("forwarded", counted.forwarded, found_forwarded, "of its events on usage-events"),
        ("moved", counted.moved, found_moved, "of its events under another user"),
        ("given up", counted.dead_lettered, trail.letters, "dead letters that say so"),
        ("non_production", counted.non_production, len(trail.others), "different ids of other environments in the log"),
        ("in all", counts, len(trail.ids), "different ids in the log"),
        ("duplicates", counted.duplicates, repeats, "repeats in the log"),
    ]
    part.problems = differences(checks)
    return part


async def _letters(kafka: KafkaSettings, unread: Unread) -> dict[int, dict[int, tuple[str, dict[str, Any] | None]]]:
    """Return the dead letters of usage-unattributed, by partition and offset: the reason, and the event if it can be read."""
    found: dict[int, dict[int, tuple[str, dict[str, Any] | None]]] = {}
    async for record in scan(kafka, DEAD_LETTERS):
        name, letter = Unread().decoded(DEAD_LETTERS, record)  # whoever reads them for usage-events has named it
        if name != "dead_letter" or letter["by"] != "scorer":
            continue
        topic, _, place = letter["origin"].partition("/")
        partition, _, offset = place.partition("/")
        if topic == USAGE_UNATTRIBUTED:
            kind, value = unread.decoded(DEAD_LETTERS, record, letter["original"])
            found.setdefault(int(partition), {})[int(offset)] = (
                letter["reason"],
                value if kind == "usage_event" else None,
            )
    return found
