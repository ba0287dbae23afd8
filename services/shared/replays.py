"""
What it takes to send the original of a dead letter again: kept with the letter, and said to ingest when it comes again.

An event alone does not tell where it was sent, when, and what its batch said of it. Ingest keeps that beside the original
(`RequestFacts`). A request that sends originals again names the letters (`Replay`): ingest then corrects their times as
it would have done at first, and gives events without an id one that is made of the letter's place.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from services.shared.tracking_plan.actors import Actor

HEADER = "Tidemark-Replay"
"""Header with a `Replay` as JSON, in ASCII. It needs a write key that may backfill."""

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class RequestFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the request of a refused event, or of a refused body, said of all that it held."""

    environment: str = "production"
    client: str = "server"
    """Who held the write key: what a browser says does not become a server's word by a replay."""
    actor: Actor | None = None
    """Who acts by the write key; None: it did not say."""
    kind: str = ""
    """Path segment of a single event (`track`); empty for a batch."""
    whole: bool = False
    """Whether the original is a whole body, not one event of it."""
    cleaned: bool = False
    """Whether the original was kept without what the tracking plan denies; then it is no longer the bytes that were sent."""
    encoding: str = ""
    """The `Content-Encoding` of a whole body."""
    sent_at: int | None = None
    """`sentAt` of the batch, milliseconds since 1970 UTC."""
    context: dict[str, Any] | None = None
    """`context` of the batch."""
    backfill: bool = False
    """Whether times were to be taken as sent."""
    historical: bool = False

    def encode(self) -> str:
        """Return it as the dead letter has it."""
        return msgspec.json.encode(self).decode()


class Replay(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The dead letters whose originals a request holds: one, or as many as it has events, in the order of the topic."""

    partition: _Count
    """The partition of usage-rejected."""
    first: _Count
    """Offset of the first letter."""
    last: _Count
    """Offset of the last one; the same as `first` where all that the request holds is of one letter."""
    received_at: _Positive
    """When the originals were received at first, milliseconds since 1970 UTC."""
    source: str | None = None
    """Source that the write key must be of; None: any."""
    environment: str | None = None
    client: str = "server"
    """Who sent the originals at first."""
    actor: Actor | None = None
    """Who acts by the write key that they were sent with at first."""
    cleaned: bool = False
    """Whether the originals are without what the tracking plan denied: what is a hash is not hashed once more."""

    def event_id(self, index: int) -> str:
        """
        Return the id of an event of the request that has neither an id nor a timestamp.

        It depends on the letter and the event's place in it alone, so it is the same however letters are put together.
        """
        offset, within = (self.first, index) if self.first == self.last else (self.first + index, 0)
        return f"letter-{self.partition}-{offset}-{self.received_at}-{within}"

    def fits(self, events: int) -> bool:
        """Return whether a request of so many events can be of these letters."""
        return self.first == self.last or self.last - self.first + 1 == events


decode_facts = msgspec.json.Decoder(RequestFacts).decode
decode_replay = msgspec.json.Decoder(Replay).decode
