"""What ingest refused, as dead letters: the original, the reason, and what the request said beside it."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.topics import USAGE_REJECTED
from services.ingest.domain.denylist import Denylist
from services.ingest.domain.request import Request
from services.ingest.ports import LogRecord
from services.ingest.submission import Submission
from services.ingest.write_keys.keys import WriteKey
from services.shared.dead_letters import BODY_BYTES, DeadLetter
from services.shared.errors import Rejected
from services.shared.replays import RequestFacts


def of_event(raw: bytes, event_id: str, error: Rejected, request: Request, facts: str, denylist: Denylist) -> LogRecord:
    """Return the dead letter of one event; `facts` are those of its request (`facts_of_event`)."""
    at, source = request.received_at, request.source
    return _letter(raw, error, denylist, rejected_at=at, event_id=event_id, source=source, request=facts)


def of_body(body: bytes, error: Rejected, received_at: int, source: str, facts: str, denylist: Denylist) -> LogRecord:
    """Return the dead letter of a body that is refused as a whole; `facts` is empty where they are not known."""
    return _letter(body, error, denylist, keep=BODY_BYTES, rejected_at=received_at, source=source, request=facts)


def _letter(original: bytes, error: Rejected, denylist: Denylist, **more: Any) -> LogRecord:
    """Return a dead letter, kept without what the tracking plan denies."""
    kept = denylist.clean_original(original) if denylist else None
    letter = DeadLetter(
        by="ingest", reason=error.code, field=error.field, detail=error.detail, original=original, kept=kept, **more
    )
    return LogRecord(USAGE_REJECTED, letter.key, letter.encode())


def facts_of_event(request: Request, denylist: Denylist) -> str:
    """Return what a request says of each of its events; empty where its context cannot be written down."""
    facts = RequestFacts(
        environment=request.environment,
        client=request.client,
        actor=request.actor,
        cleaned=bool(denylist),
        kind=request.kind.lower(),
        sent_at=request.sent_at,
        context=request.context,
        backfill=request.backfill,
        historical=request.historical,
    )
    try:
        return facts.encode()
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return ""


def facts_of_body(submission: Submission, key: WriteKey, denylist: Denylist) -> str:
    """Return how a body was sent, which it does not say itself."""
    return RequestFacts(
        environment=key.environment,
        client=key.client,
        actor=key.actor,
        cleaned=bool(denylist),
        kind=submission.kind,
        whole=True,
        encoding=submission.encoding,
        backfill=submission.backfill,
        historical=submission.historical,
    ).encode()
