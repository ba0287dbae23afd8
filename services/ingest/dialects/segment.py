"""
Segment's dialect: the HTTP API of server SDKs, the letter paths of analytics.js, and what analytics.js asks for first.

The write key is the user name of Basic authorization, or in the body; `authorization` lists the other places.
"""

from __future__ import annotations

import dataclasses

import msgspec

from services.ingest.dialects.address import public_address
from services.ingest.dialects.route import About, HttpRoute, Serve
from services.ingest.errors import OF_A_BODY, OF_A_KEY, OF_AN_EVENT, Code
from services.ingest.http.call import Call, Headers, Reply, json_reply
from services.ingest.intake import EventIntake, come_back
from services.ingest.judged import STALLED_RETRY_S
from services.ingest.replaying import replay_of
from services.ingest.submission import EPOCH, HISTORICAL, Answer, Submission
from services.shared.errors import Rejected

KINDS = ("track", "identify", "page", "screen", "group", "alias")
_BATCH_PATHS = ("/v1/batch", "/batch", "/v1/b", "/b", "/v1/import")
_CACHED: Headers = [(b"cache-control", b"public, max-age=300"), (b"vary", b"Origin")]


def submission(call: Call, body: bytes, kind: str = "") -> Submission:
    """Return a body in Segment's format as what is submitted; `kind` for a single event."""
    epoch, replay, fault = None, None, None
    historical = call.header(b"tidemark-historical").lower()
    try:
        epoch, replay = _epoch(call), replay_of(call.headers)
        if historical not in ("", "true", "false"):
            raise Rejected(Code.INVALID_HEADER, HISTORICAL, "it must be true or false")
    except Rejected as error:
        fault = error
    return Submission(
        body=body,
        encoding=call.header(b"content-encoding").lower(),
        kind=kind,
        epoch=epoch,
        historical=historical not in ("", "false"),
        replay=replay,
        fault=fault,
        all_results=call.header(b"tidemark-results") == "all" or call.argument("results") == "all",
    )


def told(answer: Answer, kind: str = "") -> Reply:
    """Return what an SDK is told: it repeats for a 429, and drops what got another 4xx."""
    if answer.put_off:
        message = f"{answer.put_off} of the events were not taken; send them again, or all of them, with the same ids"
        whole = {**msgspec.to_builtins(answer), "code": Code.LOG_UNAVAILABLE, "field": "", "message": message}
        return json_reply(429, whole, come_back(STALLED_RETRY_S))
    if kind and answer.rejected:
        fault = answer.results[0]
        whole = {**msgspec.to_builtins(answer), "code": fault.code, "field": fault.field, "message": fault.detail}
        return json_reply(400, whole)
    return json_reply(200, answer)


def events(kind: str = "") -> Serve:
    """Return how a batch is served, or a single event of a kind."""

    async def serve(call: Call, intake: EventIntake) -> Reply:
        key = intake.key(call)
        body = await intake.body(call, key)
        return told(await intake.submit(submission(call, body, kind), key), kind)

    return serve


async def _settings(call: Call, intake: EventIntake) -> Reply:
    """Tell analytics.js where to send, and that its metrics about itself are not wanted."""
    write_key = call.params["key"]
    if intake.keys.find(write_key) is None:
        raise Rejected(
            Code.NOT_FOUND, "writeKey", "this write key is not known here; make one with `tidemark keys create`"
        )
    intake.known(write_key)
    address = public_address(call, intake.public_url)
    allowed = {"__default": {"enabled": True}}
    document = {
        "integrations": {
            "Segment.io": {"apiKey": write_key, "apiHost": f"{address.host}/v1", "protocol": address.scheme}
        },
        "plan": {
            "track": {"__default": {"enabled": True, "integrations": {}}},
            "identify": allowed,
            "group": allowed,
        },
        "metrics": {"sampleRate": 0},
    }
    return json_reply(200, document, _CACHED)


async def _sdk_metrics(_call: Call, _intake: EventIntake) -> Reply:
    """Acknowledge what analytics.js measures about itself, and discard it."""
    return json_reply(200, {"success": True})


def _epoch(call: Call) -> int | None:
    value = call.headers.get(b"tidemark-epoch")
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise Rejected(Code.INVALID_HEADER, EPOCH, "the epoch must be a whole number, 0 or more")
    return int(value)


BATCH = About(
    "Take a batch of events; each gets its own verdict.",
    body="Batch",
    answer="Answer",
    parameters=("writeKey", "results"),
    codes=(*OF_A_KEY, *OF_A_BODY),
)
_ABOUT_SETTINGS = About(
    "Tell analytics.js where to send.",
    codes=(Code.NOT_FOUND, Code.EXPIRED_WRITE_KEY, Code.ORIGIN_NOT_ALLOWED, Code.PUBLIC_URL_NOT_SET),
)


def _single(kind: str) -> About:
    codes = (*BATCH.codes, *OF_AN_EVENT)
    return dataclasses.replace(BATCH, summary=f"Take one {kind} event.", body="Event", codes=codes)


ROUTES = (
    *(HttpRoute("POST", path, "batch", events(), BATCH) for path in _BATCH_PATHS),
    *(HttpRoute("POST", f"/v1/{kind}", kind, events(kind), _single(kind)) for kind in KINDS),
    *(HttpRoute("POST", f"/v1/{kind[0]}", kind, events(kind), _single(kind)) for kind in KINDS),
    HttpRoute("GET", "/v1/projects/{key}/settings", "settings", _settings, _ABOUT_SETTINGS),
    HttpRoute("POST", "/v1/m", "sdk_metrics", _sdk_metrics, About("Discard what analytics.js measures about itself.")),
)
