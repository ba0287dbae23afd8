"""Where webhooks come in: the endpoint, the signature, the body within its bounds, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from services.ingest.domain.webhooks.payload import Mapped
from services.ingest.domain.webhooks.signatures import claimed, verify
from services.ingest.domain.webhooks.vendors import events_of
from services.ingest.errors import Code
from services.ingest.http.call import Call
from services.ingest.http.receiving import Reception
from services.ingest.metrics import IngestMetrics
from services.ingest.webhooks.endpoints import Endpoint, Endpoints
from services.shared.errors import Rejected


class Delivery(NamedTuple):
    """A body that a vendor has signed."""

    endpoint: Endpoint
    body: bytes

    def mapped(self) -> Mapped:
        """
        Return what becomes of it.

        Raises:
            Rejected: nothing can.
        """
        endpoint = self.endpoint
        return events_of(endpoint.vendor, self.body, endpoint.account, endpoint.user)


class WebhookDoor:
    """One for a process. `clock_s` gives seconds since 1970; `tolerance_s` is how far from it a signature may be."""

    def __init__(
        self,
        endpoints: Endpoints,
        reception: Reception,
        metrics: IngestMetrics,
        clock_s: Callable[[], float],
        tolerance_s: float,
    ) -> None:
        self._endpoints = endpoints
        self._reception = reception
        self._metrics = metrics
        self._clock_s = clock_s
        self._tolerance_s = tolerance_s

    async def receive(self, call: Call) -> Delivery:
        """
        Return what was delivered to the endpoint that the path names.

        Raises:
            Rejected: there is no such endpoint, or it is not the vendor who sends. The body is kept nowhere.
            Retryable: too much is being received.
            Gone: the client left.
        """
        endpoint = self._endpoints.find(f"{call.params['vendor']}/{call.params['name']}")
        if endpoint is None:
            raise Rejected(
                Code.UNKNOWN_WEBHOOK,
                "path",
                "there is no such endpoint; TIDEMARK_WEBHOOKS_FILE lists those that there are",
            )
        try:
            signature = claimed(endpoint.vendor, call.headers, self._clock_s(), self._tolerance_s)
            body = await self._reception.signed(call.incoming)
            position = verify(signature, body, endpoint.secrets)
        except Rejected:
            self.count(endpoint, "refused")
            raise
        self._metrics.webhook_secrets.labels(endpoint.path, str(position + 1)).inc()
        return Delivery(endpoint, body)

    def count(self, endpoint: Endpoint, outcome: str) -> None:
        """Count what became of a webhook."""
        self._metrics.webhook_requests.labels(endpoint.path, outcome).inc()
