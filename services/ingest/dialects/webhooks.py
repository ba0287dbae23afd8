"""
Webhooks of vendors: `POST /v1/webhooks/VENDOR/NAME`, with the vendor's signature in the place of a write key.

The answer is 2xx once Kafka has what became of the webhook, and also if nothing can become of it: a vendor that is told
anything else sends the same for days, and at last switches the endpoint off. What cannot be mapped is on usage-rejected;
what is not taken is counted and said in the answer, which vendors show beside each delivery.
"""

from __future__ import annotations

from copy import copy

import msgspec

from services.ingest.dialects import segment
from services.ingest.dialects.route import About, HttpRoute
from services.ingest.errors import Code
from services.ingest.http.call import Call, Reply, json_reply
from services.ingest.intake import EventIntake
from services.ingest.submission import Answer, Submission
from services.ingest.webhooks.door import Delivery
from services.shared.errors import Rejected, Retryable

_LONGEST_WAIT_S = 30.0
"""That a vendor is asked for: Zendesk sends a webhook again only after less than a minute."""


async def _take(call: Call, intake: EventIntake) -> Reply:
    delivery = await intake.webhooks.receive(call)
    intake.keep(delivery.endpoint.source)
    try:
        outcome, reply = await _taken(delivery, intake)
    except Retryable as error:
        intake.webhooks.count(delivery.endpoint, "put_off")
        sooner = copy(error)
        sooner.retry_after_s = min(error.retry_after_s, _LONGEST_WAIT_S)
        raise sooner from error
    intake.webhooks.count(delivery.endpoint, outcome)
    return reply


async def _taken(delivery: Delivery, intake: EventIntake) -> tuple[str, Reply]:
    """Return how it is counted, and what the vendor is told."""
    try:
        mapped = delivery.mapped()
    except Rejected as error:
        await intake.refuse(delivery.body, delivery.endpoint.key(test=False), error)
        fault = {"code": error.code, "field": error.field, "message": error.detail}
        return "rejected", json_reply(200, {**msgspec.to_builtins(Answer(False, 0, 0, 1, [])), **fault})
    if not mapped.events:
        nothing = msgspec.to_builtins(Answer(True, 0, 0, 0, []))
        return "ignored", json_reply(200, {**nothing, "ignored": mapped.type[:256], "message": mapped.why})
    body = msgspec.json.encode({"batch": mapped.events})
    answer = await intake.submit(Submission(body, all_results=True), delivery.endpoint.key(test=mapped.test))
    if answer.put_off:
        return "put_off", segment.told(answer)
    outcome = "rejected" if answer.rejected else "unattributed" if answer.unattributed else "accepted"
    return outcome, segment.told(answer)


_ABOUT = About(
    "Take a webhook of Stripe, Zendesk or Delighted, signed by the vendor.",
    answer="Answer",
    codes=(
        Code.MISSING_SIGNATURE,
        Code.WRONG_SIGNATURE,
        Code.SIGNATURE_EXPIRED,
        Code.UNKNOWN_WEBHOOK,
        Code.BODY_TOO_LARGE,
        Code.LOG_UNAVAILABLE,
    ),
)

ROUTES = (HttpRoute("POST", "/v1/webhooks/{vendor}/{name}", "webhooks", _take, _ABOUT),)
