"""How events are admitted, in every dialect: find the sender, read the body within its bounds, return the verdicts."""

from __future__ import annotations

import math
from typing import NamedTuple

from services.ingest.connections.deadlines import KEEP
from services.ingest.errors import Code, Overloaded, RateLimited
from services.ingest.http.call import Call, Headers
from services.ingest.http.receiving import Reception, missing_key
from services.ingest.metrics import IngestMetrics
from services.ingest.service import IngestService
from services.ingest.submission import Answer, Submission
from services.ingest.webhooks.door import WebhookDoor
from services.ingest.write_keys import authorization
from services.ingest.write_keys.budgets import Budgets
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.errors import Rejected, Retryable

__all__ = ["EventIntake", "PushedBack", "come_back", "missing_key", "pushed_back"]


class PushedBack(NamedTuple):
    """How a sender is told to come again."""

    code: Code
    message: str
    headers: Headers


class EventIntake:
    """What a dialect calls to take events. `of` makes the intake of one call."""

    call: Call
    """The call that is served."""

    def __init__(
        self,
        service: IngestService,
        keys: WriteKeys,
        metrics: IngestMetrics,
        reception: Reception,
        budgets: Budgets,
        webhooks: WebhookDoor,
        public_url: str,
    ) -> None:
        self.keys = keys
        self.reception = reception
        self.budgets = budgets
        self.webhooks = webhooks
        self.public_url = public_url
        """Address at which browsers reach this, without a path; empty if it is not configured."""
        self.description = b"{}"
        """The OpenAPI document."""
        self._service = service
        self._metrics = metrics

    def of(self, call: Call) -> EventIntake:
        """Return the intake of one call."""
        mine: EventIntake = object.__new__(type(self))
        mine.__dict__.update(self.__dict__, call=call)  # copy.copy takes ten times as long
        return mine

    def key(self, call: Call) -> WriteKey | None:
        """
        Return the write key that headers or query name; None where they name none and the body may.

        Raises:
            Rejected: there is no such key, or the page that asks may not use it.
            Retryable: it is over its rate.
        """
        named = authorization.write_key(call)
        if named is None:
            return None
        key = self.known(named)
        self.keep(key.source)
        # No more than is ever read of it, or `Retry-After` would be years.
        self._admit(key, min(call.incoming.declared, self.reception.max_body_bytes))
        return key

    def welcomes(self, call: Call, origin: bytes) -> bool:
        """Return whether a page of an origin may make this call, as far as can be known before it names a key."""
        named = authorization.write_key(call) or call.params.get("key", "")
        key = self.keys.find(named) if named else None
        return key.admits(origin) if key is not None else self.keys.welcomes(origin)

    def known(self, named: str) -> WriteKey:
        """
        Return the key of a name that the call may use, wherever it has the name from.

        Raises:
            Rejected: there is no such key, or the page that asks may not use it.
        """
        key = self.keys.named(named)
        self.keys.used(key)
        origin = self.call.header(b"origin")
        if not key.admits(origin.encode("latin-1")):
            self._metrics.rejections.labels(Code.ORIGIN_NOT_ALLOWED, key.source).inc()
            raise Rejected(
                Code.ORIGIN_NOT_ALLOWED, "Origin", "this write key does not list the page's origin; see `origins`"
            )
        return key

    def keep(self, source: str) -> None:
        """Tell the server that this connection is of somebody known."""
        keep = self.call.scope.get("extensions", {}).get(KEEP)
        if keep is not None:
            keep(source)

    async def body(self, call: Call, key: WriteKey | None) -> bytes:
        """
        Return the body, of at most the limit.

        Raises:
            Rejected: it is too large, and kept as far as it was read; or nobody known sends it.
            Retryable: too much is being received, or it could not be kept.
            Gone: the client left.
        """
        if key is None:
            encoding = call.headers.get(b"content-encoding", b"")
            body = await self.reception.without_key(call.incoming, encoding, self._admitted)
        else:
            body = await self.reception.with_key(call.incoming, key.source)
            self.arrived(key, len(body))
        self._metrics.received(len(body))
        most = self.reception.max_body_bytes
        if key is not None and len(body) > most:
            error = Rejected(Code.BODY_TOO_LARGE, "body", f"the body is over {most} bytes; send smaller batches")
            await self.refuse(body, key, error)
            raise error
        return body

    async def submit(self, submission: Submission, key: WriteKey | None) -> Answer:
        """
        Judge and write what was sent; return once it is durable.

        Raises:
            Rejected: the request as a whole is refused, and kept if its key is known.
            Retryable: nothing is certain; it has to be sent again.
        """
        return await self._service.submit(submission, key, self)

    async def refuse(self, body: bytes, key: WriteKey, error: Rejected) -> None:
        """
        Keep what is refused as a whole, cut, with the reason.

        Raises:
            Retryable: it could not be kept.
        """
        await self._service.refuse(body, key, error)

    def key_in_body(self, named: str, size: int) -> WriteKey:
        """
        Return the key that a body names, which is of `size` bytes when decompressed.

        Raises:
            Rejected: as `known`.
            Retryable: it is over its rate.
        """
        key = self.known(named)
        self.keep(key.source)
        self._admit(key, size)
        self.arrived(key, size)
        return key

    def arrived(self, key: WriteKey, size: int) -> None:
        """
        Count what has arrived; `body` does that itself.

        Raises:
            Retryable: the key is over its rate.
        """
        try:
            self.budgets.arrived(key, size)
        except RateLimited:
            self._tell(key)
            raise

    def inflated(self, key: WriteKey, size: int) -> None:
        """Count the bytes that a body has more of since it was decompressed."""
        self.budgets.inflated(key, size)

    def events(self, key: WriteKey, count: int) -> None:
        """
        Let so many events be judged.

        Raises:
            Retryable: the key is over its rate.
        """
        try:
            self.budgets.events(key, count)
        finally:
            self._tell(key)

    def _admit(self, key: WriteKey, size: int) -> None:
        try:
            self.budgets.admit(key, size)
        finally:
            self._tell(key)

    def _tell(self, key: WriteKey) -> None:
        """Have the answer say how much a key may send, as it is now, whatever becomes of the request."""
        state = self.budgets.state(key)
        if state is not None:
            limit, left = state
            self.call.answered = [
                (b"x-ratelimit-limit", str(limit).encode()),
                (b"x-ratelimit-remaining", str(left).encode()),
            ]

    def _admitted(self, named: str) -> bool:
        """Return whether a key is worth reading a body for: one that has expired is, to say so."""
        try:
            self.keys.named(named)
        except Rejected as error:
            return error.code == Code.EXPIRED_WRITE_KEY
        return True


def come_back(after_s: float) -> Headers:
    """Return the headers that say when to come again."""
    seconds = str(max(1, math.ceil(after_s))).encode()
    # Old browser SDKs read the second of these and take five seconds without it.
    return [(b"retry-after", seconds), (b"x-ratelimit-reset", seconds)]


def pushed_back(error: Retryable) -> PushedBack:
    """Return how the sender of what was not taken is told."""
    code = Code.LOG_UNAVAILABLE
    if isinstance(error, RateLimited):
        code = Code.RATE_LIMITED
    elif isinstance(error, Overloaded):
        code = Code.OVERLOADED
    return PushedBack(code, f"{error.detail}; nothing is lost, send it again later", come_back(error.retry_after_s))
