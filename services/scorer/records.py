"""Values of the processor to records of Tidemark's topics, and what cannot be applied to a dead letter."""

from __future__ import annotations

from hashlib import sha256

from schemas import codec
from schemas.topics import ACCOUNT_HEALTH, ACCOUNT_HEALTH_LATEST, FLEET_PARTIALS, USAGE_REJECTED
from services.scorer.domain.lane.outcome import Forgotten, Outcome, Partial, Rejection, Snapshot
from services.shared.engine.processor import Output, SourceRecord
from services.shared.errors import Poison

ORIGINAL_BYTES = 900_000
"""Of an original that are kept, so that a dead letter fits even a topic with Kafka's own limit of 1 MiB."""

encode_health = codec.encoder("account_health")
_encode_partial = codec.encoder("fleet_partial")
_encode_dead_letter = codec.encoder("dead_letter")


def outputs_of(outcome: Outcome) -> list[Output]:
    """Return the records that one outcome of the fold becomes."""
    if isinstance(outcome, Snapshot):
        key = outcome.value["account"].encode()
        return [Output(ACCOUNT_HEALTH, key, outcome.encoded), Output(ACCOUNT_HEALTH_LATEST, key, outcome.encoded)]
    if isinstance(outcome, Forgotten):
        key = outcome.account.encode()
        return [Output(ACCOUNT_HEALTH, key, None), Output(ACCOUNT_HEALTH_LATEST, key, None)]
    if isinstance(outcome, Partial):
        partial = outcome.value
        key = f"{partial['epoch']}/{partial['day']}/{partial['segment']}/{partial['partition']}"
        return [Output(FLEET_PARTIALS, key.encode(), _encode_partial(partial))]
    return [_rejected(outcome)]


def dead_letter(record: SourceRecord, poison: Poison) -> Output:
    """Return the dead letter of a record that nothing can be read out of; no log time is known here, so it is 0."""
    return _dead_letter(record, 0, poison.reason, poison.field, poison.detail, "", "", "")


def _rejected(rejection: Rejection) -> Output:
    event = rejection.event
    return _dead_letter(
        SourceRecord(*rejection.origin),
        rejection.at,
        rejection.reason,
        rejection.field,
        rejection.detail,
        event["event_id"],
        event["source"],
        event["account"],
    )


def _dead_letter(
    record: SourceRecord, at: int, reason: str, field: str, detail: str, event_id: str, source: str, account: str
) -> Output:
    original = record.value or b""
    letter = {
        "rejected_at": at,
        "by": "scorer",
        "reason": reason,
        "field": field,
        "detail": detail,
        "event_id": event_id,
        "source": source,
        "account": account,
        "origin": f"{record.topic}/{record.partition}/{record.offset}",
        "original": original[:ORIGINAL_BYTES],
        "original_size": len(original),
        "original_sha256": sha256(original).hexdigest(),
    }
    return Output(USAGE_REJECTED, (account or source or "unknown").encode(), _encode_dead_letter(letter))
