"""The one path of admission that all dialects lead to: who sends, the body within its bounds, the verdicts."""

from __future__ import annotations

import math
from typing import NamedTuple

from services.ingest.authorization import Authorization
from services.ingest.deadlines import KEEP
from services.ingest.dialects.route import Call, Headers
from services.ingest.errors import Code, Overloaded
from services.ingest.keys import WriteKey, WriteKeys
from services.ingest.metrics import IngestMetrics
from services.ingest.receiving import Reception, missing_key
from services.ingest.service import Answer, IngestService, Submission
from services.shared.errors import Rejected, Retryable

__all__ = ["Intake", "PushedBack", "come_back", "missing_key", "pushed_back"]


class PushedBack(NamedTuple):
    """How a sender is told to come again."""

    code: Code
    message: str
    headers: Headers


class Intake:
    """What a dialect asks in order to take events."""

    def __init__(
        self,
        service: IngestService,
        keys: WriteKeys,
        metrics: IngestMetrics,
        reception: Reception,
        public_url: str = "",
    ) -> None:
        self.keys = keys
        self.reception = reception
        self.public_url = public_url
        """Address at which browsers reach this, without a path; empty if it is not configured."""
        self.authorization = Authorization(keys)
        self._service = service
        self._metrics = metrics

    def key(self, call: Call) -> WriteKey | None:
        """
        Return the write key that headers or query name; None where they name none and the body may.

        Raises:
            Rejected: there is no such key.
        """
        key = self.authorization.key(call)
        keep = call.scope.get("extensions", {}).get(KEEP)
        if key is not None and keep is not None:
            keep()  # this connection is of somebody known
        return key

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
            body = await self.reception.without_key(
                call.incoming, encoding, lambda name: self.keys.find(name) is not None
            )
        else:
            body = await self.reception.with_key(call.incoming, key.source)
        self._metrics.body_bytes.inc(len(body))
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
        return await self._service.submit(submission, key)

    async def refuse(self, body: bytes, key: WriteKey, error: Rejected) -> None:
        """
        Keep what is refused as a whole, cut, with the reason.

        Raises:
            Retryable: it could not be kept.
        """
        await self._service.refuse(body, key, error)


def come_back(after_s: float) -> Headers:
    """Return the headers that say when to come again."""
    seconds = str(max(1, math.ceil(after_s))).encode()
    # Old browser SDKs read the second of these and take five seconds without it.
    return [(b"retry-after", seconds), (b"x-ratelimit-reset", seconds)]


def pushed_back(error: Retryable) -> PushedBack:
    """Return how the sender of what was not taken is told."""
    code = Code.OVERLOADED if isinstance(error, Overloaded) else Code.LOG_UNAVAILABLE
    return PushedBack(code, f"{error.detail}; nothing is lost, send it again later", come_back(error.retry_after_s))
