"""What topics still hold of a person or an account after an erasure, and until when."""

from __future__ import annotations

from typing import NamedTuple

from schemas.topics import (
    ACCOUNT_HEALTH,
    ACCOUNT_HEALTH_LATEST,
    ALERTER_ACCOUNT_HEALTH_STATE,
    DEAD_LETTERS,
    EXPANSION_SIGNALS,
    OPEN_SIGNALS,
    RISK_SIGNALS,
    SCORER_USAGE_EVENTS_STATE,
    SCORER_USAGE_UNATTRIBUTED_STATE,
    TOPICS,
    USAGE_DETAILS,
    USAGE_EVENTS,
    USAGE_REJECTED,
    USAGE_UNATTRIBUTED,
)
from services.alerter.domain.durations import parse_duration
from services.alerter.domain.rule_reading import DEFAULT_EXPIRY
from services.shared.units import DAY_MS, date_of, day_of

_SEGMENT_MS = 7 * DAY_MS
"""After which Kafka begins a new segment, if the topic does not say otherwise."""
_OPEN_MS = parse_duration(DEFAULT_EXPIRY)
"""For how long a signal may be open; while it is, its text names who caused it."""
_HOLDS_PERSON = {
    USAGE_DETAILS: "the ids as they were sent, properties, context",
    USAGE_REJECTED: "what was refused, as it was sent",
    USAGE_EVENTS: "the pseudonym",
    USAGE_UNATTRIBUTED: "the pseudonym",
    DEAD_LETTERS: "the pseudonym",
    ACCOUNT_HEALTH: "the pseudonym of who gave the lowest answer",
    ACCOUNT_HEALTH_LATEST: "the pseudonym of who gave the lowest answer",
    RISK_SIGNALS: "the pseudonym of who gave the lowest answer",
    EXPANSION_SIGNALS: "the pseudonym of who gave the lowest answer, where a rule of yours names them",
    OPEN_SIGNALS: "the pseudonym of who gave the lowest answer, while the signal is open",
    SCORER_USAGE_EVENTS_STATE: "a hash of the pseudonym",
    SCORER_USAGE_UNATTRIBUTED_STATE: "the pseudonym",
    ALERTER_ACCOUNT_HEALTH_STATE: "the pseudonym of who gave the lowest answer",
}
_HOLDS_ACCOUNT = {
    **dict.fromkeys(_HOLDS_PERSON, "records of the account"),
    USAGE_REJECTED: "what was refused, as it was sent",
}


class Kept(NamedTuple):
    """What a topic still holds, and until when at most."""

    topic: str
    what: str
    until: str
    """ISO date."""


def kept(*, person: bool, now_ms: int) -> list[Kept]:
    """Return the topics that hold something of a person or an account, which retention or compaction removes."""
    holds = _HOLDS_PERSON if person else _HOLDS_ACCOUNT
    found = [Kept(topic, what, date_of(day_of(now_ms + _lasts_ms(topic))).isoformat()) for topic, what in holds.items()]
    return sorted(found, key=lambda each: (each.until, each.topic))


def _lasts_ms(topic: str) -> int:
    """Return for how long a topic may hold a record that was appended now, or that a newer one of its key replaces now."""
    record = TOPICS[topic]
    if record.cleanup == "compact":
        lasts = int(record.config["max.compaction.lag.ms"]) + DAY_MS
        return lasts + _OPEN_MS if topic == OPEN_SIGNALS else lasts
    return record.retention_ms + int(record.config.get("segment.ms", _SEGMENT_MS))
