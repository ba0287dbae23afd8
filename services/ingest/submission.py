"""A request to ingest as it came in, the terms on which its sender is taken, and what it is told."""

from __future__ import annotations

from typing import Protocol

import msgspec

from services.ingest import replaying
from services.ingest.domain import timing
from services.ingest.domain.body import Body
from services.ingest.domain.members import kind_named
from services.ingest.domain.request import Request
from services.ingest.errors import Code
from services.ingest.judged import EventResult
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Rejected
from services.shared.replays import Replay

EPOCH = "Tidemark-Epoch"
"""Header with the epoch of a drive, which makes a request a backfill."""
HISTORICAL = "Tidemark-Historical"
"""Header that makes it one as well, and marks what its events cause as historical."""


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


def request_of(submission: Submission, body: Body, key: WriteKey, received_at: int, name: str) -> Request:
    """
    Return what holds for all events of a body; `name` is who accepts them.

    Raises:
        Rejected: a header is wrong, or its key may not send it.
    """
    if submission.fault is not None:
        raise submission.fault
    backfill = submission.backfill
    if backfill and not key.backfill:
        raise Rejected(
            Code.BACKFILL_NOT_ALLOWED,
            EPOCH if submission.epoch is not None else HISTORICAL,
            "this write key may not send backfill headers; use one that has backfill: true",
        )
    replay = submission.replay
    if replay is not None:
        replaying.check(replay, key, len(body.events), received_at + timing.FUTURE_MS)
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
