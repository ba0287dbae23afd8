"""
The records of a log that this version cannot read, for tools that go on behind them and say so.

A record of an unknown schema may be of a newer version, and then it says something that the tool leaves out (ADR 76). So
whoever goes on has to name what was left out, and must not call the rest complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord

from services.shared.counts import counted
from services.shared.errors import UnknownVersion
from services.shared.kafka.reading import decoded


@dataclass(slots=True)
class _Skipped:
    offset: int
    """Of the first one."""
    why: str
    records: int = 0


@dataclass(slots=True)
class Unread:
    """Of each partition the first record that could not be read, and how many there are."""

    _places: dict[tuple[str, int], _Skipped] = field(default_factory=dict)

    def decoded(
        self, topic: str, record: ConsumerRecord[bytes, bytes], part: bytes | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Return record name and value, or of a record that is a `part` of it; both empty for what cannot be read."""
        try:
            return decoded(record.value if part is None else part)
        except UnknownVersion as unknown:
            place = self._places.setdefault((topic, record.partition), _Skipped(record.offset, unknown.detail))
            place.records += 1
            return "", {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def sentences(self) -> list[str]:
        """Return one sentence for each partition."""
        return [
            f"{topic}/{partition}/{place.offset}{_more(place.records - 1)}: {place.why}"
            for (topic, partition), place in sorted(self._places.items())
        ]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the partitions for JSON."""
        return [
            {"topic": topic, "partition": partition, "first_offset": place.offset, "records": place.records}
            for (topic, partition), place in sorted(self._places.items())
        ]


def _more(others: int) -> str:
    return f" and {counted(others, 'more record')} behind it" if others else ""
