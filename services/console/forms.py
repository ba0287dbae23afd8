"""What a form sent: urlencoded fields, bounded."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

MOST_BYTES, MOST_FIELDS = 65_536, 50
"""The longest text of a record has 48,000 bytes as it is sent, in the widest characters."""


class Fields(dict[str, str]):
    """The fields of a form; the last of a name counts."""

    too_large = False
    """Whether they are only those in the first MOST_BYTES, and the last may end early."""


async def fields_of(request: Request, *, first: bool = False) -> Fields:
    """Return the fields of a form; of one that is too large none, or the `first` ones. What is no form has none."""
    body, too_large = b"", False
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            body, too_large = body[:MOST_BYTES] if first else b"", True
            break
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS)
    except ValueError:
        return Fields()
    fields = Fields(pairs)
    fields.too_large = too_large
    return fields
