"""What the events of a request came to: the records and the verdict of each, and what their sender is told."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.ingest.domain.personal import UserLink
from services.ingest.errors import Code
from services.ingest.ports import LogRecord
from services.shared.errors import Rejected, Retryable
from services.shared.tracking_plan.event_check import Violation

ACCEPTED, ACCEPTED_UNATTRIBUTED, REFUSED, PUT_OFF = "accepted", "accepted_unattributed", "rejected", "put_off"
VERDICTS = (ACCEPTED, ACCEPTED_UNATTRIBUTED, REFUSED, PUT_OFF)

_WARNED, _WARNINGS = 100, 10
"""Events of a request whose warnings are told, and warnings of each: an answer stays smaller than its request."""

STALLED_RETRY_S = 5.0
"""Seconds after which a request with events for a partition that takes nothing should come again."""


class PlanWarning(msgspec.Struct):
    """What breaks the tracking plan in an event that was taken."""

    code: str
    field: str
    detail: str


class EventResult(msgspec.Struct, omit_defaults=True):
    """The verdict on one event."""

    index: int
    message_id: str
    verdict: str
    code: str = ""
    field: str = ""
    detail: str = ""
    warnings: list[PlanWarning] = []


class Judged:
    """The records of each event of a request, and what the sender is told."""

    __slots__ = (
        "_broken",
        "facts",
        "ids",
        "links",
        "listed",
        "of_event",
        "records",
        "replayed",
        "source",
        "unprotected",
        "verdicts",
    )

    def __init__(self, source: str, *, replayed: bool) -> None:
        self.source = source
        self.replayed = replayed
        """Whether these are the originals of dead letters: what is refused again has its letter already."""
        self.facts = ""
        """What a dead letter keeps of the request, once one was written."""
        self.records: list[LogRecord] = []
        self.of_event: list[int] = []
        """For each record the position of its event."""
        self.ids: list[str] = []
        self.verdicts: list[str] = []
        self.listed: list[EventResult] = []
        self.links: dict[UserLink | tuple[str, str, str], UserLink] = {}
        """What the events say about their users and the log does not have yet, by what it is about."""
        self.unprotected: set[int] = set()
        """Positions of events whose id is made at random, so that a repetition is not recognised."""
        self._broken: list[tuple[int, str, list[str]]] = []

    def warn(self, event: str, violations: list[Violation] | None) -> list[PlanWarning]:
        """
        Note what breaks the tracking plan in the next event, which is taken; return what its sender is told of it.

        `event` is what the plan calls it, empty if it does not name it.
        """
        if not violations:
            return []
        self._broken.append((len(self.verdicts), event, [each.code for each in violations]))
        return [PlanWarning(*each) for each in violations[:_WARNINGS]] if len(self._broken) <= _WARNED else []

    def broken(self) -> list[tuple[str, list[str]]]:
        """Return the events that break the plan and were not put off: what the plan calls each, and the codes."""
        return [(event, codes) for index, event, codes in self._broken if self.verdicts[index] != PUT_OFF]

    def take(
        self,
        event_id: str,
        verdict: str,
        records: list[LogRecord],
        *,
        told: bool,
        warnings: Sequence[PlanWarning] = (),
        repeatable: bool = True,
    ) -> None:
        """
        Add the next event, which was taken.

        Args:
            event_id: The sender's, or what was made in its place.
            verdict: ACCEPTED or ACCEPTED_UNATTRIBUTED.
            records: What is written of it.
            told: Whether the answer lists it.
            warnings: What its sender is told of the tracking plan.
            repeatable: Whether a repetition would be recognised.
        """
        index = len(self.verdicts)
        self.records += records
        self.of_event += [index] * len(records)
        self.ids.append(event_id)
        self.verdicts.append(verdict)
        if told:
            self.listed.append(EventResult(index, event_id, verdict, warnings=list(warnings)))
        if not repeatable:
            self.unprotected.add(index)

    def refuse(self, message_id: str, error: Rejected, letter: LogRecord | None) -> None:
        """Add the next event, which was refused: its id as far as it can be read, why, and its dead letter if it gets one."""
        index = len(self.verdicts)
        if letter is not None:
            self.records.append(letter)
            self.of_event.append(index)
        self.ids.append(message_id)
        self.verdicts.append(REFUSED)
        self.listed.append(EventResult(index, message_id, REFUSED, error.code, error.field, error.detail))

    def put_off(self, stalled: list[int]) -> list[LogRecord]:
        """
        Put the events of the records at these positions off; return the records of the others.

        SDKs know no verdicts: they will repeat the whole request. So what would not be recognised when it comes again
        is put off too.

        Raises:
            Retryable: nothing is left to be written.
        """
        later = {self.of_event[position] for position in stalled} | self.unprotected
        if len(later) == len(self.verdicts):
            raise Retryable("the partitions of these events do not acknowledge", STALLED_RETRY_S)
        for index in later:
            self.verdicts[index] = PUT_OFF
        told = [result for result in self.listed if result.index not in later]
        told += [
            EventResult(index, self.ids[index], PUT_OFF, Code.PARTITION_STALLED, "", "send it again") for index in later
        ]
        self.listed = sorted(told, key=lambda result: result.index)
        self.links = {}
        return [record for record, index in zip(self.records, self.of_event, strict=True) if index not in later]
