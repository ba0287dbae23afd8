"""What the events of a request came to: one record and one verdict for each, and what their sender is told."""

from __future__ import annotations

import msgspec

from services.ingest.errors import Code
from services.ingest.ports import LogRecord
from services.shared.errors import Retryable

ACCEPTED, ACCEPTED_UNATTRIBUTED, REFUSED, PUT_OFF = "accepted", "accepted_unattributed", "rejected", "put_off"
VERDICTS = (ACCEPTED, ACCEPTED_UNATTRIBUTED, REFUSED, PUT_OFF)

STALLED_RETRY_S = 5.0
"""Seconds after which a request with events for a partition that takes nothing should come again."""


class EventResult(msgspec.Struct, omit_defaults=True):
    """The verdict on one event."""

    index: int
    message_id: str
    verdict: str
    code: str = ""
    field: str = ""
    detail: str = ""


class Judged:
    """One record for each event of a request, in their order, and what the sender is told."""

    __slots__ = ("ids", "listed", "records", "unprotected", "verdicts")

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.ids: list[str] = []
        self.verdicts: list[str] = []
        self.listed: list[EventResult] = []
        self.unprotected: set[int] = set()
        """Positions of events whose id was assigned here, so that a repetition is not recognised."""

    def put_off(self, stalled: list[int]) -> list[LogRecord]:
        """
        Put the events at these positions off; return the records of the others.

        SDKs know no verdicts: they will repeat the whole request. So what would not be recognised when it comes again
        is put off too.

        Raises:
            Retryable: nothing is left to be written.
        """
        later = {*stalled, *self.unprotected}
        if len(later) == len(self.records):
            raise Retryable("the partitions of these events do not acknowledge", STALLED_RETRY_S)
        for index in later:
            self.verdicts[index] = PUT_OFF
        told = [result for result in self.listed if result.index not in later]
        told += [
            EventResult(index, self.ids[index], PUT_OFF, Code.PARTITION_STALLED, "", "send it again") for index in later
        ]
        self.listed = sorted(told, key=lambda result: result.index)
        return [record for index, record in enumerate(self.records) if index not in later]
