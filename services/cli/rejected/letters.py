"""
Dead letters as they stand on their topics, and which of them somebody wants to see.

Both topics are read by time: from the offsets that Kafka names for it, never from their start.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from schemas.topics import DEAD_LETTERS, USAGE_REJECTED
from services.shared.dead_letters import BODY_BYTES
from services.shared.errors import Fatal, WrongArgument
from services.shared.kafka import reading
from services.shared.kafka.reading import Offsets
from services.shared.kafka.settings import KafkaSettings
from services.shared.replays import RequestFacts, decode_facts

TOPICS = (USAGE_REJECTED, DEAD_LETTERS)


@dataclass(frozen=True)
class Letter:
    """One dead letter and its place."""

    topic: str
    """Without the prefix of a deployment."""
    partition: int
    offset: int
    at: int
    """When it was appended, milliseconds since 1970 UTC."""
    value: dict[str, Any]
    """The record."""

    @property
    def place(self) -> str:
        """Return topic/partition/offset, by which commands name it."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def original(self) -> bytes:
        """Return what is kept of the original."""
        return self.value["original"]  # type: ignore[no-any-return]

    @property
    def cut(self) -> bool:
        """Return whether only the beginning of the original is kept, or nothing of it."""
        size = int(self.value["original_size"])
        if self.facts is not None and self.facts.cleaned:  # shorter, or longer, than what was sent
            return len(self.original) >= BODY_BYTES or (size > 0 and not self.original)
        return len(self.original) < size

    @cached_property
    def facts(self) -> RequestFacts | None:
        """Return what the request said beside the original; None where that is not known."""
        try:
            return decode_facts(self.value["request"])
        except msgspec.MsgspecError:
            return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: of a time, and of any value in each set that is not empty."""

    since: int
    """Milliseconds since 1970 UTC."""
    until: int | None = None
    """None: up to now."""
    reasons: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    by: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()

    def takes(self, letter: Letter) -> bool:
        """Return whether a letter is wanted."""
        value = letter.value
        asked = (
            (self.reasons, value["reason"]),
            (self.sources, value["source"]),
            (self.by, value["by"]),
            (self.accounts, value["account"]),
        )
        return (
            self.since <= letter.at
            and (self.until is None or letter.at < self.until)
            and all(not given or found in given for given, found in asked)
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of one topic, by partition."""

    topic: str
    start: Offsets
    stop: Offsets


@dataclass(slots=True)
class Replayed:
    """Which offsets of a stretch were replayed; a bit for each."""

    start: Offsets
    stop: Offsets
    _bits: dict[int, bytearray] = field(default_factory=dict)

    def note(self, partition: int, offsets: Iterable[int]) -> None:
        """Take note of offsets; those outside of the stretch are of no interest."""
        bits = self._bits.setdefault(partition, bytearray())
        first, stop = self.start.get(partition, 0), self.stop.get(partition, 0)
        for offset in offsets:
            place = offset - first
            if first <= offset < stop:
                if place // 8 >= len(bits):
                    bits.extend(bytes(place // 8 + 1 - len(bits)))
                bits[place // 8] |= 1 << place % 8

    def has(self, letter: Letter) -> bool:
        """Return whether a letter of the stretch was replayed."""
        bits = self._bits.get(letter.partition, b"")
        place = letter.offset - self.start.get(letter.partition, 0)
        return 0 <= place < 8 * len(bits) and bool(bits[place // 8] & 1 << place % 8)


async def stretches(kafka: KafkaSettings, wanted: Wanted) -> list[Stretch]:
    """Return where the letters of a time stand on both topics."""
    found = []
    for topic in TOPICS:
        end = await reading.ends(kafka, topic, committed=True)
        stop = end
        if wanted.until is not None:
            until = await reading.at_time(kafka, topic, wanted.until)
            stop = {partition: min(until.get(partition, last), last) for partition, last in end.items()}
        found.append(Stretch(topic, await reading.at_time(kafka, topic, wanted.since), stop))
    return found


async def replayed_in(
    kafka: KafkaSettings, stretch: Stretch, order: Callable[[dict[str, Any], int], None] = lambda *_: None
) -> Replayed:
    """
    Return which letters of a stretch were replayed, up to now; takes a bit of memory for each record.

    Up to now, and not up to when the stretch was looked up: since then somebody may have thought about whether to replay it.

    `order` is told each erasure that stands beside the letters, and when it was appended.
    """
    found = Replayed(stretch.start, stretch.stop)
    end = await reading.ends(kafka, stretch.topic, committed=True)
    async for record in reading.scan(kafka, stretch.topic, stretch.start, end):
        name = reading.record_of(record.value)
        if name not in ("replayed", "erasure"):
            continue
        _, value = reading.decoded(record.value)
        if name == "replayed":
            found.note(record.partition, value.get("offsets", ()))
        elif value:
            order(value, record.timestamp)
    return found


async def letters_in(kafka: KafkaSettings, stretch: Stretch, wanted: Wanted) -> AsyncIterator[Letter]:
    """Yield the wanted letters of a stretch, in the order of each partition."""
    async for record in reading.scan(kafka, stretch.topic, stretch.start, stretch.stop):
        name, value = reading.decoded(record.value)
        if name == "dead_letter":
            letter = Letter(stretch.topic, record.partition, record.offset, record.timestamp, value)
            if wanted.takes(letter):
                yield letter


async def letter_at(kafka: KafkaSettings, place: str) -> Letter:
    """
    Return one letter by topic/partition/offset.

    Raises:
        Fatal: it is no such place, or no letter is there.
    """
    topic, partition, offset = parse_place(place)
    end = (await reading.ends(kafka, topic, committed=True)).get(partition, 0)
    stop = {partition: min(offset + 1, end)}
    async for record in reading.scan(kafka, topic, {partition: offset}, stop):
        name, value = reading.decoded(record.value)
        if name == "dead_letter" and record.offset == offset:
            return Letter(topic, partition, offset, record.timestamp, value)
    raise Fatal(f"there is no dead letter at {place}: retention has deleted it, or it was never there")


def parse_place(place: str) -> tuple[str, int, int]:
    """
    Return topic, partition and offset of a place.

    Raises:
        Fatal: it is no place of a dead letter.
    """
    topic, _, rest = place.partition("/")
    partition, _, offset = rest.partition("/")
    if topic not in TOPICS or not (
        partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()
    ):
        raise WrongArgument(
            f"{place!r} is no dead letter: name it as `tidemark rejected list` does, such as {USAGE_REJECTED}/0/42"
        )
    return topic, int(partition), int(offset)
