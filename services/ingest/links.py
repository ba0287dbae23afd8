"""
Which links attribution knows already, and links as records.

Every group, identify and alias call is passed on: their order matters. What each event of a user repeats, its account and
its ids, is passed on the first time, and again once this process has forgotten that it did. That an anonymous id is a user
is passed on again after it was another: of two logins the later counts.

Each process remembers only what it has sent itself. That is no loss for accounts that events name: they have no order, so
whichever process sends one, it holds. Of logins the later counts, and another process may have passed on one that came in
between: ours would be kept back, and attribution would be left with theirs. So a login by a call is never kept back, and one
that only shows by both ids of an event is for ten minutes at the most. Then the later one counts after all.

What was sent is remembered once the log has it, so a request that fails sends its links again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import getsizeof

from schemas import codec
from schemas.topics import USAGE_UNATTRIBUTED
from services.ingest.domain.personal import UserLink
from services.ingest.domain.request import Request
from services.ingest.ports import LogRecord
from services.shared.units import HOUR_MS, MINUTE_MS

_FORGOTTEN_AFTER_MS = 6 * HOUR_MS
"""Attribution forgets who was not seen for long when there are too many, and then has to be told again."""
_SAME_AGAIN_MS = 10 * MINUTE_MS
"""That an anonymous id is a user is sent again after this while: another process may have sent that it is another."""
_CLOCK_SLIPS_MS = MINUTE_MS
"""A clock that is set back by more than this has been wrong, and so are the times at which links were sent."""
_REMEMBERED_BYTES = 80 << 20
"""Memory for links, some 180,000 of ordinary length. When there are more, all are forgotten, and each is sent again."""
_LINK_BYTES = 400
"""Memory that a link takes without its account, whose length the sender chooses; all else has a fixed length."""

Subject = UserLink | tuple[str, str, str]

_encode = codec.encoder("user_link")


class SentLinks:
    """The links that the log has, as far as this process remembers."""

    def __init__(self, remembered_bytes: int = _REMEMBERED_BYTES) -> None:
        self._remembered_bytes = remembered_bytes
        self._sent: dict[Subject, tuple[UserLink, int]] = {}
        """Each with when it was sent."""
        self._bytes = 0
        self._forgotten_at = 0
        self._now = 0

    def now(self, at_ms: int) -> None:
        """Say what time it is, milliseconds since 1970 UTC: what was sent hours ago, or in the future, is forgotten."""
        if at_ms >= self._forgotten_at or at_ms < self._now - _CLOCK_SLIPS_MS:
            self._forget()
            self._forgotten_at = at_ms + _FORGOTTEN_AFTER_MS
        self._now = at_ms

    def is_news(self, link: UserLink, sending: Mapping[Subject, UserLink]) -> bool:
        """Return whether a link has to be sent after others that are about to be, by `subject_of`."""
        if not link.repeats:
            return True
        subject = subject_of(link)
        before = sending.get(subject)
        if before is None:
            before, at = self._sent.get(subject, (None, 0))
            if before is None or (link.known_as and self._now - at >= _SAME_AGAIN_MS):
                return True
        return (before.known_as, before.internal) != (link.known_as, link.internal)

    def sent(self, links: Iterable[UserLink]) -> None:
        """Remember links that the log has now; not before it has them, or one that failed would never be sent."""
        for link in links:
            if link.repeats or link.known_as:
                subject = subject_of(link)
                if subject not in self._sent:
                    weight = weight_of(link)
                    if self._bytes + weight > self._remembered_bytes:
                        self._forget()
                    self._bytes += weight
                self._sent[subject] = (link, self._now)

    def _forget(self) -> None:
        self._sent.clear()
        self._bytes = 0


def subject_of(link: UserLink) -> Subject:
    """Return what a link speaks of: itself, or the identity that is known as another, of which the latest link counts."""
    return (link.user, link.authority, link.environment) if link.known_as else link


def weight_of(link: UserLink) -> int:
    """Return how many bytes of memory a link takes that is remembered; characters take one to four of them each."""
    return _LINK_BYTES + getsizeof(link.account)


def link_record(link: UserLink, request: Request, event_id: str, occurred_at: int) -> LogRecord:
    """Return the record of a link that an event of a request makes."""
    value = {
        "kind": link.kind,
        "user": link.user,
        "identified": link.identified,
        "internal": link.internal,
        "account": link.account,
        "known_as": link.known_as,
        "authority": link.authority,
        "via": link.via if link.account else "UNKNOWN",
        "source": request.source,
        "environment": link.environment,
        "event_id": event_id,
        "occurred_at": occurred_at,
        "received_at": request.received_of(occurred_at),
        "epoch": request.epoch,
        "historical": request.historical,
        "forwards": 0,
    }
    return LogRecord(USAGE_UNATTRIBUTED, link.user.encode(), _encode(value))
