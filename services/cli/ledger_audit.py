"""
The ledger: what became of every event, computed from the topics alone and compared with what the scorer counted.

For each partition the log is read up to where its lane stands; what lies beyond is in flight. The log says which
ids there are and how often, dead-letters says which records were dead-lettered, and the lane's own counters say what
it did. The three are written by different code at different times: if they agree, nothing was lost or counted twice.
Records of an unknown schema are on no line: they are named, and the ledger stays open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import xxhash

from schemas.topics import (
    DEAD_LETTERS,
    SCORER_USAGE_EVENTS_STATE,
    SCORER_USAGE_UNATTRIBUTED_STATE,
    USAGE_EVENTS,
    USAGE_REJECTED,
)
from services.cli import attribution_audit
from services.cli.attribution_audit import AttributionPart
from services.cli.lane_counters import differences, read_counters
from services.cli.unread import Unread
from services.scorer.domain.attribution.ledger import AttributionCounters
from services.scorer.domain.lane.ledger import LedgerCounters
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings

TOO_LATE = "too_late"
NOT_THE_EVENT = frozenset({"bad_trait", "too_many_absences"})
"""Reasons of dead letters that carry a part of an event which was applied."""
NOT_REMEMBERED = frozenset({"fold_raised"})
"""Reasons for which an event is dead-lettered before its id is remembered: the same one may be applied later."""


@dataclass(slots=True)
class Part:
    """The ledger of one partition of usage-events."""

    partition: int
    position: int = 0
    """Offset at which the lane goes on."""
    end: int = 0
    records: int = 0
    """Usage events before `position`, repeats included."""
    accepted: int = 0
    """Different ids before `position`, all environments."""
    applied: int = 0
    """By the lane's own count."""
    dead_lettered: int = 0
    """Ids that are only on dead-letters."""
    too_late: int = 0
    non_production: int = 0
    deferred: int = 0
    """Ids that came while a driver moved the lane's clock, and that nobody has sent again yet."""
    duplicates: int = 0
    in_flight: int = 0
    """Different ids that no record before `position` has."""
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """The whole account. `closes` when every line adds up."""

    parts: list[Part]
    unattributed: list[AttributionPart]
    """The account of usage-unattributed."""
    rejected: int
    """Different (source, original) that ingest rejected."""
    rejected_repeats: int
    dead_letters: Counter[str]
    """Dead letters of the scorer, by reason."""
    unread: Unread = field(default_factory=Unread)
    """Records that this version cannot read: what they say is on no line."""

    @property
    def problems(self) -> list[str]:
        """Return what could not be read, then what does not add up, one sentence each."""
        perhaps = "; records that could not be read may be the reason" if self.unread else ""
        return self.unread.sentences() + [
            f"{where} {part.partition}: {problem}{perhaps}"
            for where, parts in (("partition", self.parts), ("partition of usage-unattributed", self.unattributed))
            for part in parts
            for problem in part.problems
        ]

    @property
    def closes(self) -> bool:
        """Return whether everything adds up."""
        return not self.problems

    def total(self, line: str) -> int:
        """Return the sum of a line over the partitions."""
        return sum(getattr(part, line) for part in self.parts)

    @property
    def accepted(self) -> int:
        """Return the different ids that were accepted, wherever they are now."""
        without = ("dead_lettered", "non_production", "in_flight", "awaiting", "unresolved", "anonymous")
        return self.total("accepted") + self.total("in_flight") + sum(map(self.without_account, without))

    def without_account(self, line: str) -> int:
        """Return the sum of a line of usage-unattributed over the partitions."""
        return sum(getattr(part, line) for part in self.unattributed)

    def everywhere(self, line: str) -> int:
        """Return the sum of a line that both topics have."""
        return self.total(line) + self.without_account(line)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        lines = ("applied", "too_late", "deferred")
        both = ("dead_lettered", "non_production", "in_flight", "duplicates")
        return {
            "closes": self.closes,
            "accepted": self.accepted,
            **{line: self.total(line) for line in lines},
            **{line: self.everywhere(line) for line in both},
            "awaiting_an_account": self.without_account("awaiting"),
            "unresolved": self.without_account("unresolved"),
            "never_identified": self.without_account("anonymous"),
            "forwarded": self.without_account("forwarded"),
            "resolved": self.without_account("resolved"),
            "rejected": self.rejected,
            "rejected_repeats": self.rejected_repeats,
            "dead_letters_by_reason": dict(sorted(self.dead_letters.items())),
            "partitions": [_without_problems(part) for part in self.parts],
            "unattributed": [_without_problems(part) for part in self.unattributed],
            "unread": self.unread.as_dicts(),
            "problems": self.problems,
        }


def _without_problems(part: Part | AttributionPart) -> dict[str, Any]:
    return {name: getattr(part, name) for name in part.__dataclass_fields__ if name != "problems"}


@dataclass(slots=True)
class _Seen:
    """What the log says about one partition: what should have become of each id."""

    fates: dict[int, str] = field(default_factory=dict)
    """Of each id before the position: a line of the ledger."""
    beyond: set[int] = field(default_factory=set)
    records: int = 0
    aside: int = 0
    aside_late: int = 0
    deferred: int = 0
    """Records that were put off."""
    epoch: int = 0
    """Of the drive under way; 0: live."""
    counted: bool = False
    """Whether an event was applied: from then on a lane lets nobody drive."""

    def count(self, line: str) -> int:
        """Return how many ids are on a line."""
        return sum(fate == line for fate in self.fates.values())


async def read(kafka: KafkaSettings) -> Ledger:
    """Read all topics and do the sums. It takes about 200 bytes of memory an event, 300 where it names no account."""
    # first: see attribution_audit.read
    attribution = await read_counters(kafka, SCORER_USAGE_UNATTRIBUTED_STATE, AttributionCounters)
    lanes = await read_counters(kafka, SCORER_USAGE_EVENTS_STATE, LedgerCounters)
    limits = await ends(kafka, USAGE_EVENTS)
    forwarded: set[int] = set()
    unread = Unread()
    aside, by_reason = await _set_aside(kafka, lanes, unread)
    rejected, rejected_repeats = await _rejected(kafka, unread)
    seen = {partition: _Seen() for partition in limits}
    async for record in scan(kafka, USAGE_EVENTS, stop=limits):
        name, value = unread.decoded(USAGE_EVENTS, record)
        if name == "usage_event":
            position = lanes.get(record.partition, (0, LedgerCounters()))[0]
            _note(seen[record.partition], value, record.offset, position, aside.get(record.partition, {}))
            if value["forwards"]:
                before = (value["source"], value["user"], value["event_id"], value["forwards"] - 1)
                forwarded.add(attribution_audit.identity_of(*before))
        elif name == "clock":
            _note_clock(seen[record.partition], value)
    parts = [
        _part(partition, seen[partition], *lanes.get(partition, (0, LedgerCounters())), end=limits[partition])
        for partition in sorted(limits)
    ]
    unattributed = await attribution_audit.read(kafka, attribution, forwarded, unread)
    return Ledger(parts, unattributed, rejected, rejected_repeats, by_reason, unread)


def _note_clock(seen: _Seen, value: dict[str, Any]) -> None:
    if value["mode"] == "LIVE":
        seen.epoch = 0
    elif value["mode"] == "DRIVEN" and not seen.counted:
        seen.epoch = value["epoch"]


def _note(seen: _Seen, value: dict[str, Any], offset: int, position: int, aside: dict[int, str]) -> None:
    """Follow the scorer's rules for one record, in the order of the log."""
    identity = _identity(value)
    if offset >= position:
        seen.beyond.add(identity)
        return
    seen.records += 1
    if seen.epoch and value["epoch"] != seen.epoch:
        seen.deferred += 1
        seen.fates.setdefault(identity, "deferred")
        return
    reason = aside.get(offset)
    fate = seen.fates.get(identity)
    if reason is not None:
        seen.aside += 1
        seen.aside_late += reason == TOO_LATE
    if fate in ("applied", "non_production", "too_late", "dead_lettered"):
        return  # a repeat
    if reason in NOT_REMEMBERED:
        seen.fates[identity] = "dead_lettered_unseen"
    elif reason is not None:
        seen.fates[identity] = TOO_LATE if reason == TOO_LATE else "dead_lettered"
    else:
        production = value["environment"] == "production"
        seen.fates[identity] = "applied" if production else "non_production"
        seen.counted = seen.counted or production


def _part(partition: int, seen: _Seen, position: int, lane: LedgerCounters, *, end: int) -> Part:
    applied, late, others = seen.count("applied"), seen.count(TOO_LATE), seen.count("non_production")
    part = Part(
        partition=partition,
        position=position,
        end=end,
        records=seen.records,
        accepted=len(seen.fates),
        applied=lane.applied,
        dead_lettered=seen.count("dead_lettered") + seen.count("dead_lettered_unseen"),
        too_late=lane.too_late,
        non_production=lane.non_production,
        deferred=seen.count("deferred"),
        duplicates=lane.duplicates,
        in_flight=len(seen.beyond - seen.fates.keys()),
    )
    repeats = seen.records - applied - others - seen.aside - seen.deferred
    checks = [
        ("deferred", lane.deferred, seen.deferred, "events in the log that came in during a drive"),
        ("non_production", lane.non_production, others, "different ids of other environments in the log"),
        (TOO_LATE, lane.too_late, late, "different ids whose dead letters say so"),
        (TOO_LATE, lane.too_late, seen.aside_late, "dead letters that say so"),
        ("applied", lane.applied, applied, "different ids in the log that were not dead-lettered"),
        ("duplicates", lane.duplicates, repeats, "repeats in the log"),
    ]
    part.problems = differences(checks)
    return part


async def _set_aside(
    kafka: KafkaSettings, lanes: dict[int, tuple[int, LedgerCounters]], unread: Unread
) -> tuple[dict[int, dict[int, str]], Counter[str]]:
    """Return the records that the scorer dead-lettered, by partition and offset, and how many there are by reason."""
    aside: dict[int, dict[int, str]] = {}
    by_reason: Counter[str] = Counter()
    async for record in scan(kafka, DEAD_LETTERS):
        name, letter = unread.decoded(DEAD_LETTERS, record)
        if name != "dead_letter" or letter["by"] != "scorer" or letter["reason"] in NOT_THE_EVENT:
            continue
        topic, _, place = letter["origin"].partition("/")
        partition, _, offset = place.partition("/")
        if topic == USAGE_EVENTS and int(offset) < lanes.get(int(partition), (0, None))[0]:
            by_reason[letter["reason"]] += 1
            aside.setdefault(int(partition), {})[int(offset)] = letter["reason"]
    return aside, by_reason


async def _rejected(kafka: KafkaSettings, unread: Unread) -> tuple[int, int]:
    """Return how many different originals ingest has refused, and how many repeats of them."""
    originals: set[tuple[str, str]] = set()
    records = 0
    async for record in scan(kafka, USAGE_REJECTED):
        name, letter = unread.decoded(USAGE_REJECTED, record)
        if name == "dead_letter":
            records += 1
            originals.add((letter["source"], letter["original_sha256"]))
    return len(originals), records - len(originals)


def _identity(value: dict[str, Any]) -> int:
    environment = "" if value["environment"] == "production" else value["environment"]
    identity = (value["source"], value["account"], value["event_id"], environment)
    return xxhash.xxh3_64_intdigest("\0".join(identity).encode())
