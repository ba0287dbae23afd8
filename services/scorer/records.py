"""Values of the processor to records of Tidemark's topics, and what cannot be applied to a dead letter."""

from __future__ import annotations

from schemas import codec
from schemas.topics import ACCOUNT_HEALTH, ACCOUNT_HEALTH_LATEST, DEAD_LETTERS, FLEET_PARTIALS
from services.scorer.domain.lane.outcome import Forgotten, Outcome, Partial, Rejection, Snapshot
from services.shared.dead_letters import DeadLetter
from services.shared.engine.processor import Output, SourceRecord
from services.shared.errors import Poison
from services.shared.source_records import origin_of

encode_health = codec.encoder("account_health")
_encode_forgotten = codec.encoder("account_forgotten")
_encode_partial = codec.encoder("fleet_partial")


def outputs_of(outcome: Outcome) -> list[Output]:
    """Return the records that one outcome of the fold becomes."""
    if isinstance(outcome, Snapshot):
        key = outcome.value["account"].encode()
        return [Output(ACCOUNT_HEALTH, key, outcome.encoded), Output(ACCOUNT_HEALTH_LATEST, key, outcome.encoded)]
    if isinstance(outcome, Forgotten):
        key = outcome.account.encode()
        return [
            Output(ACCOUNT_HEALTH, key, _encode_forgotten(outcome._asdict())),
            Output(ACCOUNT_HEALTH_LATEST, key, None),
        ]
    if isinstance(outcome, Partial):
        partial = outcome.value
        key = f"{partial['epoch']}/{partial['day']}/{partial['segment']}/{partial['partition']}"
        return [Output(FLEET_PARTIALS, key.encode(), _encode_partial(partial))]
    return [_rejected(outcome)]


def dead_letter(record: SourceRecord, poison: Poison) -> Output:
    """Return the dead letter of a record that nothing can be read out of, so neither its account nor its time is known."""
    letter = DeadLetter(
        by="scorer",
        reason=poison.reason,
        field=poison.field,
        detail=poison.detail,
        original=record.value or b"",
        origin=origin_of(record),
    )
    return Output(DEAD_LETTERS, letter.key, letter.encode())


def _rejected(rejection: Rejection) -> Output:
    event, record = rejection.event, SourceRecord(*rejection.origin)
    letter = DeadLetter(
        by="scorer",
        reason=rejection.reason,
        field=rejection.field,
        detail=rejection.detail,
        original=record.value or b"",
        rejected_at=rejection.at,
        event_id=event["event_id"],
        source=event["source"],
        account=event["account"],
        origin=origin_of(record),
    )
    return Output(DEAD_LETTERS, letter.key, letter.encode())
