"""
The use case of ingest: judge what a request holds, write what was decided, say so once it is durable.

Everything that a request leads to, events and dead letters alike, goes to the log in one append, and no answer is
given before that append is acknowledged.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from schemas import codec
from services.ingest.domain import timing
from services.ingest.domain.admission import Request, Rules, admit, kind_named, message_id_of
from services.ingest.domain.body import Body, split_batch, split_single
from services.ingest.domain.compression import decompress
from services.ingest.errors import Code
from services.ingest.keys import WriteKey
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import EventLog, LogRecord
from services.shared.errors import Rejected

_encode_event = codec.encoder("usage_event")
_encode_letter = codec.encoder("dead_letter")
_EVENTS, _UNATTRIBUTED, _REJECTED = "usage-events", "usage-unattributed", "usage-rejected"
_ACCEPTED, _ACCEPTED_UNATTRIBUTED, _REFUSED = "accepted", "accepted_unattributed", "rejected"
_TURN = 250
"""Events judged between two turns of the event loop, so that a large batch does not hold up the small ones."""
_LETTER_ROOM = 4096
"""Bytes that a dead letter needs beside the original."""
_BODY_KEPT = 64 * 1024


class Result(msgspec.Struct, omit_defaults=True):
    """The verdict on one event."""

    index: int
    message_id: str
    verdict: str
    code: str = ""
    field: str = ""
    detail: str = ""


class Answer(msgspec.Struct):
    """What a client is told about its request."""

    success: bool
    accepted: int
    """Events that the log has, those without an account included."""
    unattributed: int
    rejected: int
    results: list[Result]


@dataclass(frozen=True, slots=True)
class Submission:
    """One request as it came in, with its write key still unknown where it is in the body."""

    body: bytes
    encoding: str = ""
    kind: str = ""
    """Path segment of a single event (`track`, `t`); empty for a batch."""
    epoch: int | None = None
    historical: bool = False
    all_results: bool = False


class IngestService:
    """Not bound to HTTP or Kafka; clock and id source are given."""

    def __init__(
        self,
        *,
        event_log: EventLog,
        rules: Rules,
        find_key: Callable[[str], WriteKey | None],
        metrics: IngestMetrics,
        clock_ms: Callable[[], int],
        assign_id: Callable[[], str],
        name: str = "",
    ) -> None:
        self._log = event_log
        self._rules = rules
        self._find_key = find_key
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._assign_id = assign_id
        self._name = name

    async def submit(self, submission: Submission, key: WriteKey | None) -> Answer:
        """
        Judge and write one request; `key` is None where only the body may name it.

        Raises:
            Rejected: the request as a whole is refused. Where its key is known the body is on usage-rejected.
            Retryable: nothing is certain; the client has to send it again.
        """
        received_at = self._clock_ms()
        try:
            text = decompress(submission.body, submission.encoding, self._rules.limits.body_bytes)
            body = split_single(text) if submission.kind else split_batch(text, self._rules.limits)
        except Rejected as error:
            if key is not None:
                await self.refuse(submission.body, key, error, received_at)
            raise
        if key is None:
            key = self._key_of(body)
        request = _request(submission, body, key, received_at, self._name)
        if request.sent_at is not None:
            self._metrics.skew_seconds.observe(abs(received_at - request.sent_at) / 1000)
        if not submission.kind:
            self._metrics.batch_events.observe(len(body.events))
        return await self._take(body.events, request, key, submission.all_results)

    async def refuse(self, body: bytes, key: WriteKey, error: Rejected, received_at: int | None = None) -> None:
        """
        Keep a body that is refused as a whole, cut, with the reason.

        Raises:
            Retryable: it could not be kept.
        """
        self._metrics.rejections.labels(error.code).inc()
        letter = self._letter(body, error, received_at or self._clock_ms(), source=key.source, keep=_BODY_KEPT)
        await self._log.append([letter])

    def _key_of(self, body: Body) -> WriteKey:
        if body.write_key is None or body.write_key == "":
            raise Rejected(
                Code.MISSING_WRITE_KEY,
                "writeKey",
                "send the write key as the user name of Basic authorization, as X-Write-Key, or as writeKey in the body",
            )
        key = self._find_key(body.write_key) if isinstance(body.write_key, str) else None
        if key is None:
            raise unknown_key()
        return key

    async def _take(self, events: list[bytes], request: Request, key: WriteKey, all_results: bool) -> Answer:
        records: list[LogRecord] = []
        results: list[Result] = []
        counts: Counter[str] = Counter()
        codes: Counter[str] = Counter()
        largest = {topic: self._log.largest_record(topic) for topic in (_EVENTS, _UNATTRIBUTED)}
        rules, assign_id = self._rules, self._assign_id
        for index, raw in enumerate(events):
            if index % _TURN == 0 and index:
                await asyncio.sleep(0)
            try:
                admitted = admit(raw, request, rules, assign_id)
                event = admitted.event
                record = LogRecord(_EVENTS if event["account"] else _UNATTRIBUTED, admitted.key, _encode_event(event))
                if len(record.key) + len(record.value) > largest[record.topic]:
                    raise Rejected(Code.EVENT_TOO_LARGE, "", "the event as a record is larger than the topic takes")
            except Rejected as error:
                message_id = message_id_of(raw, rules.limits)
                counts[_REFUSED] += 1
                codes[error.code] += 1
                results.append(Result(index, message_id, _REFUSED, error.code, error.field, error.detail))
                records.append(self._letter(raw, error, request.received_at, event_id=message_id, source=key.source))
                continue
            records.append(record)
            verdict = _ACCEPTED if event["account"] else _ACCEPTED_UNATTRIBUTED
            counts[verdict] += 1
            # Listed: what the sender cannot know by itself. An id that we made is one such thing.
            if all_results or verdict != _ACCEPTED or event["id_source"] != "CLIENT":
                results.append(Result(index, event["event_id"], verdict))
        started = time.perf_counter()
        await self._log.append(records)
        self._metrics.ack_seconds.observe(time.perf_counter() - started)
        for verdict, count in counts.items():
            self._metrics.verdicts.labels(verdict).inc(count)
        for code, count in codes.items():
            self._metrics.rejections.labels(code).inc(count)
        unattributed, rejected = counts[_ACCEPTED_UNATTRIBUTED], counts[_REFUSED]
        return Answer(rejected == 0, counts[_ACCEPTED] + unattributed, unattributed, rejected, results)

    def _letter(
        self,
        original: bytes,
        error: Rejected,
        received_at: int,
        *,
        source: str,
        event_id: str = "",
        keep: int | None = None,
    ) -> LogRecord:
        keep = keep or self._log.largest_record(_REJECTED) - _LETTER_ROOM
        value = _encode_letter(
            {
                "rejected_at": received_at,
                "by": "ingest",
                "reason": str(error.code),
                "field": error.field[:256],
                "detail": error.detail[:1024],
                "event_id": event_id,
                "source": source,
                "original": original[:keep],
                "original_size": len(original),
                "original_sha256": hashlib.sha256(original).hexdigest(),
            }
        )
        return LogRecord(_REJECTED, source.encode(), value)


def unknown_key() -> Rejected:
    """Return the refusal of a write key that is not in the file."""
    return Rejected(
        Code.UNKNOWN_WRITE_KEY, "writeKey", "this write key is not known here; make one with `tidemark keys create`"
    )


def _request(submission: Submission, body: Body, key: WriteKey, received_at: int, name: str) -> Request:
    backfill = submission.epoch is not None or submission.historical
    if backfill and not key.backfill:
        raise Rejected(
            Code.BACKFILL_NOT_ALLOWED,
            "Tidemark-Epoch" if submission.epoch is not None else "Tidemark-Historical",
            "this write key may not send backfill headers; use one that has backfill: true",
        )
    return Request(
        source=key.source,
        environment=key.environment,
        received_at=received_at,
        kind=kind_named(submission.kind),
        sent_at=timing.sent_at_millis(body.sent_at),
        context=body.context,
        backfill=backfill,
        epoch=submission.epoch or 0,
        historical=submission.historical,
        accepted_by=name,
    )
