"""
The use case of ingest: judge what a request holds, write what was decided, say so once it is durable.

Everything that a request leads to, events and dead letters alike, goes to the log in one append, and no answer is
given before that append is acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import msgspec

from schemas import codec
from schemas.topics import USAGE_DETAILS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.ingest import letters, replaying
from services.ingest.domain import timing
from services.ingest.domain.admission import Admitted, admit
from services.ingest.domain.body import Body, split_batch, split_single
from services.ingest.domain.compression import decompress
from services.ingest.domain.decoding import message_id_of
from services.ingest.domain.members import kind_named
from services.ingest.domain.quick.request import QuickRequest, quick_request
from services.ingest.domain.quick.way import QuickWay
from services.ingest.domain.request import Request, Rules
from services.ingest.errors import Code
from services.ingest.http.receiving import missing_key
from services.ingest.judged import ACCEPTED, ACCEPTED_UNATTRIBUTED, PUT_OFF, REFUSED, VERDICTS, EventResult, Judged
from services.ingest.links import SentLinks, link_record, subject_of
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import EventLog, LogRecord
from services.ingest.turns import SMALL, Turns, Work
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Rejected
from services.shared.replays import Replay

EPOCH = "Tidemark-Epoch"
"""Header with the epoch of a drive, which makes a request a backfill."""

_encode_event = codec.encoder("usage_event")
_encode_details = codec.encoder("event_details")


class Answer(msgspec.Struct, omit_defaults=True):
    """What a client is told about its request."""

    success: bool
    accepted: int
    """Events that the log has, those without an account included."""
    unattributed: int
    rejected: int
    results: list[EventResult]
    put_off: int = 0
    """Events that were not taken and have to be sent again; where there are any, the request is answered with 429."""
    broke_plan: int = 0
    """Events that break the tracking plan and were taken nonetheless; `results` has the warnings for the first of them."""


class Submission(msgspec.Struct, frozen=True):
    """One request as it came in, with its write key still unknown where it is in the body."""

    body: bytes
    encoding: str = ""
    kind: str = ""
    """Path segment of a single event (`track`, `t`); empty for a batch."""
    epoch: int | None = None
    historical: bool = False
    all_results: bool = False
    replay: Replay | None = None
    """The dead letters whose originals these are."""
    fault: Rejected | None = None
    """What is wrong with a header, which is told once it is known who sends."""

    @property
    def backfill(self) -> bool:
        """Whether its times are to be taken as they are sent."""
        return self.epoch is not None or self.historical or (self.fault is not None and self.fault.field == EPOCH)


class Terms(Protocol):
    """On what terms a sender is taken: known once the body is split, in the middle of the work."""

    def key_in_body(self, named: str, size: int) -> WriteKey:
        """
        Return the key that a body names, which is of `size` bytes when decompressed.

        Raises:
            Rejected: there is none, or the sender may not use it.
            Retryable: it is over its rate.
        """

    def inflated(self, key: WriteKey, size: int) -> None:
        """Count the bytes that a body has more of since it was decompressed."""

    def events(self, key: WriteKey, count: int) -> None:
        """
        Let so many events be judged.

        Raises:
            Retryable: the key is over its rate.
        """


class IngestService:
    """Not bound to HTTP or Kafka; clock and id source are given."""

    def __init__(
        self,
        *,
        event_log: EventLog,
        rules: Rules,
        metrics: IngestMetrics,
        clock_ms: Callable[[], int],
        assign_id: Callable[[], str],
        name: str = "",
    ) -> None:
        self._log = event_log
        self._rules = rules
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._assign_id = assign_id
        self._name = name
        most = min(map(event_log.largest_record, (USAGE_EVENTS, USAGE_UNATTRIBUTED, USAGE_DETAILS)))
        self._quick = QuickWay(rules, most)
        self._turns = Turns()
        self._links = SentLinks()

    async def submit(self, submission: Submission, key: WriteKey | None, terms: Terms) -> Answer:
        """
        Judge and write one request; `key` is None where only the body may name it.

        Raises:
            Rejected: the request as a whole is refused. Where its key is known the body is on usage-rejected, unless it
                is a replay, whose dead letter stays as it is.
            Retryable: nothing is certain; the client has to send it again.
        """
        received_at = self._clock_ms()
        self._links.now(received_at)
        if key is not None and submission.kind and not submission.encoding:
            at_once = self._at_once(submission, key, received_at)
            if at_once is not None:
                terms.events(key, 1)
                return await self._take(at_once)
        found, key = await self._work(submission, key, terms, received_at)
        if isinstance(found, Judged):
            return await self._take(found)
        if key is not None and submission.replay is None:
            facts = letters.facts_of_body(submission, key, self._rules.denylist)
            await self.refuse(submission.body, key, found, facts, received_at)
        try:
            raise found
        finally:
            del found  # it holds this frame, and with it the body: megabytes that only garbage collection would free

    def _at_once(self, submission: Submission, key: WriteKey, received_at: int) -> Judged | None:
        """Return what a single event came to; None where the quick way does not take it, or others have to go first."""
        body = submission.body
        if len(body) > SMALL or submission.replay is not None or self._turns.over():
            return None
        try:
            request = _request(submission, Body([body]), key, received_at, self._name, self._rules)
        except Rejected:
            return None
        quick = quick_request(self._quick, request)
        judged = Judged(request.source, replayed=False)
        return judged if quick is not None and self._quickly(quick, body, request, submission, judged) else None

    async def _work(
        self, submission: Submission, key: WriteKey | None, terms: Terms, received_at: int
    ) -> tuple[Judged | Rejected, WriteKey | None]:
        """Return what the events of a request came to, or why it has none that could be judged; and whose it is, if known."""
        work = self._turns.begin()
        try:
            try:
                text = await self._decompressed(submission, key, terms, work)
                body = await work.drive(
                    split_single(text) if submission.kind else split_batch(text, self._rules.limits)
                )
            except Rejected as error:
                return error, key
            if key is None:
                key = terms.key_in_body(_named_in(body), len(text))
            terms.events(key, len(body.events))
            rules = self._rules_for(submission)
            try:
                request = _request(submission, _denied(body, rules), key, received_at, self._name, rules)
            except Rejected as error:
                return error, key
            if request.sent_at is not None:
                self._metrics.skew_seconds.observe(abs(received_at - request.sent_at) / 1000)
            if not submission.kind:
                self._metrics.batch_events.observe(len(body.events))
            return await self._judge(body.events, request, submission, rules, work), key
        finally:
            work.release()

    async def _decompressed(self, submission: Submission, key: WriteKey | None, terms: Terms, work: Work) -> bytes:
        arrived, most = len(submission.body), self._rules.limits.body_bytes
        try:
            text = await work.drive(decompress(submission.body, submission.encoding, most))
        except Rejected as error:
            if key is not None and error.code == Code.DECOMPRESSED_TOO_LARGE:
                terms.inflated(key, most - arrived)
            raise
        if key is not None:
            terms.inflated(key, len(text) - arrived)
        if len(text) > SMALL:
            await work.enlarge()
        return text

    async def refuse(
        self, body: bytes, key: WriteKey, error: Rejected, request: str = "", received_at: int | None = None
    ) -> None:
        """
        Keep a body that is refused as a whole, cut, with the reason and what is known of the `request` (RequestFacts).

        Raises:
            Retryable: it could not be kept.
        """
        letter = letters.of_body(
            body, error, received_at or self._clock_ms(), key.source, request, self._rules.denylist
        )
        self._metrics.rejections.labels(error.code, key.source).inc()
        await self._log.append([letter])

    def _rules_for(self, submission: Submission) -> Rules:
        if submission.replay is None or not submission.replay.cleaned:
            return self._rules
        return replace(self._rules, denylist=self._rules.denylist.of_cleaned())

    async def _judge(
        self, events: list[bytes], request: Request, submission: Submission, rules: Rules, work: Work
    ) -> Judged:
        judged = Judged(request.source, replayed=submission.replay is not None)
        quick = None if judged.replayed else quick_request(self._quick, request)
        for index, raw in enumerate(events):
            if work.due():
                await work.pause()
            if quick is None or not self._quickly(quick, raw, request, submission, judged):
                self._with_care(index, raw, request, submission, rules, judged)
        return judged

    def _quickly(
        self, quick: QuickRequest, raw: bytes, request: Request, submission: Submission, judged: Judged
    ) -> bool:
        """Judge an event of the common shape; return whether it was one."""
        taken = quick.take(raw)
        if taken is None:
            return False
        event_id, person, value, details, occurred_at = taken
        attributed = bool(person.account)
        records = [LogRecord(USAGE_EVENTS if attributed else USAGE_UNATTRIBUTED, person.key, value)]
        if details is not None:
            records.append(LogRecord(USAGE_DETAILS, person.details_key, details))
        for link in person.links:
            if self._links.is_news(link, judged.links):
                records.append(link_record(link, request, event_id, occurred_at))
                judged.links[subject_of(link)] = link
        verdict = ACCEPTED if attributed else ACCEPTED_UNATTRIBUTED
        judged.take(event_id, verdict, records, told=submission.all_results or not attributed)
        return True

    def _with_care(
        self, index: int, raw: bytes, request: Request, submission: Submission, rules: Rules, judged: Judged
    ) -> None:
        """Judge an event that is not of the common shape, or not right."""
        replay = submission.replay
        assign_id = self._assign_id if replay is None else partial(replay.event_id, index)
        try:
            admitted = admit(raw, request, rules, assign_id)
            records = self._records(admitted)
        except Rejected as error:
            message_id = message_id_of(raw, rules.limits)
            letter = None
            if not judged.replayed:
                judged.facts = judged.facts or letters.facts_of_event(request, rules.denylist)
                letter = letters.of_event(raw, message_id, error, request, judged.facts, rules.denylist)
            judged.refuse(message_id, error, letter)
            return
        event = admitted.event
        for link in admitted.links:
            if self._links.is_news(link, judged.links):
                records.append(link_record(link, request, event["event_id"], event["occurred_at"]))
                judged.links[subject_of(link)] = link
        verdict = ACCEPTED if event["account"] else ACCEPTED_UNATTRIBUTED
        warnings = judged.warn(rules.plan.named(event["kind"], event["name"]), admitted.violations)
        id_source = event["id_source"]
        judged.take(
            event["event_id"],
            verdict,
            records,
            # What the sender cannot know by itself. An id that we made is one such thing.
            told=bool(warnings) or submission.all_results or verdict != ACCEPTED or id_source != "CLIENT",
            warnings=warnings,
            repeatable=id_source != "ASSIGNED" or replay is not None,
        )

    def _records(self, admitted: Admitted) -> list[LogRecord]:
        """
        Return the records of an event: itself, and what it holds beyond what stays on the long log.

        Raises:
            Rejected: one is larger than its topic takes.
        """
        event, details = admitted.event, admitted.details
        topic = USAGE_EVENTS if event["account"] else USAGE_UNATTRIBUTED
        records = [LogRecord(topic, admitted.key, _encode_event(event))]
        if details is not None:
            key = event["user"] or event["account"]
            records.append(LogRecord(USAGE_DETAILS, key.encode(), _encode_details(details)))
        for record in records:
            if len(record.key) + len(record.value) > self._log.largest_record(record.topic):
                raise Rejected(Code.EVENT_TOO_LARGE, "", "the event as a record is larger than the topic takes")
        return records

    async def _take(self, judged: Judged) -> Answer:
        """Write what was judged; what belongs to a partition that takes nothing now is put off, the rest is not."""
        records = judged.records
        stalled = self._log.stalled(records)
        if stalled:
            records = judged.put_off(stalled)
        started = time.perf_counter()
        await self._log.append(records)
        self._metrics.ack_seconds.observe(time.perf_counter() - started)
        self._links.sent(judged.links.values())
        counts = {verdict: judged.verdicts.count(verdict) for verdict in VERDICTS}
        for verdict, count in counts.items():
            if count and not (verdict == REFUSED and judged.replayed):
                self._metrics.judged(verdict, judged.source, count)
        if counts[REFUSED] and not judged.replayed:
            for result in judged.listed:
                if result.verdict == REFUSED:
                    self._metrics.rejections.labels(result.code, judged.source).inc()
        broken = judged.broken()
        for event, codes in broken:
            self._metrics.broke_plan(event, codes)
        unattributed, rejected, put_off = counts[ACCEPTED_UNATTRIBUTED], counts[REFUSED], counts[PUT_OFF]
        return Answer(
            rejected == put_off == 0,
            counts[ACCEPTED] + unattributed,
            unattributed,
            rejected,
            judged.listed,
            put_off,
            len(broken),
        )


def _denied(body: Body, rules: Rules) -> Body:
    """Take what is denied out of a batch's own context, once for all its events."""
    if not rules.denylist or body.context is None:
        return body
    return msgspec.structs.replace(body, context=rules.denylist.clean_of("context", body.context))


def _named_in(body: Body) -> str:
    if body.write_key is None or body.write_key == "":
        raise missing_key()
    return body.write_key if isinstance(body.write_key, str) else ""


def _request(submission: Submission, body: Body, key: WriteKey, received_at: int, name: str, rules: Rules) -> Request:
    if submission.fault is not None:
        raise submission.fault
    backfill = submission.backfill
    if backfill and not key.backfill:
        raise Rejected(
            Code.BACKFILL_NOT_ALLOWED,
            EPOCH if submission.epoch is not None else "Tidemark-Historical",
            "this write key may not send backfill headers; use one that has backfill: true",
        )
    replay = submission.replay
    if replay is not None:
        replaying.check(replay, key, len(body.events), received_at + rules.limits.future_ms)
    return Request(
        source=key.source,
        environment=key.environment,
        received_at=received_at,
        first_received_at=replay.received_at if replay else 0,
        kind=kind_named(submission.kind),
        sent_at=timing.sent_at_millis(body.sent_at),
        context=body.context,
        backfill=backfill,
        epoch=submission.epoch or 0,
        historical=submission.historical,
        accepted_by=name,
        client="browser" if replay and replay.client == "browser" else key.client,
        actor=replay.actor if replay else key.actor,
        plan_mode=key.plan,
    )
