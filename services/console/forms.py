"""What a form sent: urlencoded fields, bounded."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

MOST_BYTES, MOST_FIELDS = 32_768, 50


async def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; the last of a name counts. Those of one that is too large are none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return {}
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}
    return dict(pairs)
