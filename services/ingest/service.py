"""
The use case of ingest: judge what a request holds, write the verdicts, and answer once they are durable.

Everything that a request leads to, events and dead letters alike, goes to the log in one append, and no answer is
given before that append is acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import msgspec

from services.ingest import letters
from services.ingest.domain.body import Body, split_batch, split_single
from services.ingest.domain.compression import decompress
from services.ingest.domain.request import Rules
from services.ingest.errors import Code
from services.ingest.http.receiving import missing_key
from services.ingest.judged import ACCEPTED, ACCEPTED_UNATTRIBUTED, PUT_OFF, REFUSED, VERDICTS, Judged
from services.ingest.judging import Judging
from services.ingest.links import SentLinks
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import EventLog
from services.ingest.submission import Answer, Submission, Terms, request_of
from services.ingest.turns import SMALL, Turns, Work
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Rejected


class IngestService:
    """Knows neither HTTP nor Kafka; clock and id source are given."""

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
        self._name = name
        self._turns = Turns()
        self._links = SentLinks()
        self._judging = Judging(rules, self._links, assign_id, event_log.largest_record)

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
            request = request_of(submission, Body([body]), key, received_at, self._name)
        except Rejected:
            return None
        return self._judging.at_once(request, submission)

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
                request = request_of(submission, _denied(body, rules), key, received_at, self._name)
            except Rejected as error:
                return error, key
            if request.sent_at is not None:
                self._metrics.skew_seconds.observe(abs(received_at - request.sent_at) / 1000)
            if not submission.kind:
                self._metrics.batch_events.observe(len(body.events))
            return await self._judging.each(body.events, request, submission, rules, work), key
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
