"""Judge events one by one: those of the common shape quickly, all others with care. Both ways come to the same verdicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from schemas import codec
from schemas.topics import USAGE_DETAILS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.ingest import letters
from services.ingest.domain.admission import Admitted, admit
from services.ingest.domain.decoding import message_id_of
from services.ingest.domain.quick.request import QuickRequest, quick_request
from services.ingest.domain.quick.way import QuickWay
from services.ingest.domain.request import Request, Rules
from services.ingest.errors import Code
from services.ingest.judged import ACCEPTED, ACCEPTED_UNATTRIBUTED, Judged
from services.ingest.links import SentLinks, link_record, subject_of
from services.ingest.ports import LogRecord
from services.ingest.submission import Submission
from services.ingest.turns import Work
from services.shared.errors import Rejected

_encode_event = codec.encoder("usage_event")
_encode_details = codec.encoder("event_details")


class Judging:
    """Knows neither HTTP nor Kafka; `largest_record` tells how many bytes a record of a topic may have, key and value together."""

    def __init__(
        self, rules: Rules, links: SentLinks, assign_id: Callable[[], str], largest_record: Callable[[str], int]
    ) -> None:
        self._links = links
        self._assign_id = assign_id
        self._largest_record = largest_record
        most = min(map(largest_record, (USAGE_EVENTS, USAGE_UNATTRIBUTED, USAGE_DETAILS)))
        self._quick = QuickWay(rules, most)

    def at_once(self, request: Request, submission: Submission) -> Judged | None:
        """Return what a request of one event came to; None where the event is not of the common shape."""
        quick = quick_request(self._quick, request)
        judged = Judged(request.source, replayed=False)
        taken = quick is not None and self._quickly(quick, submission.body, request, submission, judged)
        return judged if taken else None

    async def each(
        self, events: list[bytes], request: Request, submission: Submission, rules: Rules, work: Work
    ) -> Judged:
        """Return what the events of a body came to."""
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
            if len(record.key) + len(record.value) > self._largest_record(record.topic):
                raise Rejected(Code.EVENT_TOO_LARGE, "", "the event as a record is larger than the topic takes")
        return records
