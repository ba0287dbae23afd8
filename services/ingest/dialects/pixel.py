"""
The pixel: one event in the query of a GET, answered with an image, for pages and mails without script.

    <img src="https://events.example.com/v1/pixel/page?writeKey=KEY&userId=ann&name=Pricing&context.groupId=acme">

A name with dots is a path into the event. `data`, base64 of a JSON event as Segment's pixel has it, may be given
instead. The image always comes, since a broken one would be seen; the status and the header `Tidemark-Code` are those
that a POST of the same event gets, and so are the verdict, the counts and the dead letter.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from services.ingest.dialects.route import About, HttpRoute, Serve
from services.ingest.errors import OF_A_BODY, OF_A_KEY, OF_AN_EVENT, Code, status_of
from services.ingest.http.call import Call, Reply
from services.ingest.intake import EventIntake, missing_key, pushed_back
from services.ingest.submission import Answer, Submission
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Rejected, Retryable

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent point."""
_KINDS = ("page", "track", "identify", "group", "screen", "alias")
_WRITE_KEY = re.compile(rb"(?:^|&)writeKey=[^&]*")
_DEPTH = 8
_MEMBERS = 200


def event_of(query: bytes) -> bytes:
    """
    Return the event that a query holds, as JSON.

    Raises:
        Rejected: it holds none.
    """
    try:
        # Strictly, or ids that differ in what cannot be read would become one.
        pairs = parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=_MEMBERS, errors="strict")
    except UnicodeDecodeError as error:
        raise Rejected(Code.INVALID_TEXT, "query", "the parameters are not UTF-8") from error
    except ValueError as error:
        raise Rejected(Code.INVALID_BODY, "query", f"send at most {_MEMBERS} parameters") from error
    event: dict[str, Any] = {}
    for path, value in pairs:
        if path == "data":
            return _decoded(value)
        if path != "writeKey":
            _put(event, path, value)
    return msgspec.json.encode(event)


def image(kind: str) -> Serve:
    """Return how the pixel of a kind of event is served."""

    async def serve(call: Call, intake: EventIntake) -> Reply:
        try:
            key = intake.key(call)
            if key is None:
                raise missing_key()
            if call.method == "HEAD":  # nobody has seen anything: scanners of mail look whether the image is there
                return _image(200)
            answer = await _take(call, intake, key, kind)
        except Rejected as error:
            return _image(status_of(error), error.code)
        except Retryable as error:
            refusal = pushed_back(error)
            return _image(429, refusal.code, refusal.headers)
        return _image(400, answer.results[0].code) if answer.rejected else _image(200)

    return serve


async def _take(call: Call, intake: EventIntake, key: WriteKey, kind: str) -> Answer:
    try:
        event = event_of(call.query)
    except Rejected as error:
        await intake.refuse(_WRITE_KEY.sub(b"", call.query).lstrip(b"&"), key, error)
        raise
    intake.arrived(key, len(event))
    return await intake.submit(Submission(event, kind=kind), key)


def _put(event: dict[str, Any], path: str, value: str) -> None:
    names = path.split(".", _DEPTH)
    holder = event
    for name in names[:-1]:
        holder = holder.setdefault(name, {})
        if not isinstance(holder, dict):
            raise Rejected(Code.INVALID_BODY, path[:256], "a parameter is a value and has members at the same time")
    if names[-1] in holder:
        raise Rejected(Code.INVALID_BODY, path[:256], "this parameter is there twice")
    holder[names[-1]] = value


def _decoded(data: str) -> bytes:
    text = data.replace("-", "+").replace("_", "/").replace(" ", "+").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected(Code.INVALID_BODY, "data", "this is not base64 of a JSON event") from error


def _image(status: int, code: str = "", headers: list[tuple[bytes, bytes]] | None = None) -> Reply:
    more = [(b"tidemark-code", code.encode())] if code else []
    return Reply(status, GIF, b"image/gif", [(b"cache-control", b"no-store"), *more, *(headers or [])], code)


def about(kind: str) -> About:
    """Return what is said of the pixel of a kind of event."""
    return About(
        f"Take one {kind} event out of the query; the answer is an image.",
        content_type="image/gif",
        parameters=("writeKey", "data", "userId", "anonymousId", "event", "name", "messageId", "context.groupId"),
        codes=(*OF_A_KEY, *OF_A_BODY, *OF_AN_EVENT),
    )


ROUTES = tuple(HttpRoute("GET", f"/v1/pixel/{kind}", "pixel", image(kind), about(kind)) for kind in _KINDS)
