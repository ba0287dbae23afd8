"""From the bytes of one event to its members, or a refusal that says what is wrong with them."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from services.ingest.domain.denylist import Denylist
from services.ingest.domain.diagnosis import depth_of, diagnose, unusable_member
from services.ingest.domain.limits import Limits
from services.ingest.errors import Code
from services.shared.errors import Rejected

BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
"""What decoding or encoding raises for what it cannot read or write."""

_DIGITS = bytes(48 if 48 <= byte <= 57 else 45 if byte == 45 else 46 for byte in range(256))
_LONG, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19
"""The shortest runs of digits that can be an integer of more than 64 bits: 2**64 has twenty, and -2**63 has nineteen."""


def finite(text: str) -> float:
    """Return the number that JSON text is; refuse what no double holds, such as 1e999."""
    value = float(text)
    if math.isinf(value):
        raise ValueError("the number is out of range")
    return value


def has_long_number(raw: bytes) -> bool:
    """Return whether an integer of more than 64 bits may be in it, which msgspec would take."""
    digits = raw.translate(_DIGITS)
    return _LONG in digits or _LONG_NEGATIVE in digits


class _Id(msgspec.Struct):
    messageId: msgspec.Raw = msgspec.Raw(b"")  # noqa: N815 - the wire's name


# Without the hook msgspec takes 7 us for each number like 1e300: five seconds for a body of 4 MB.
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=finite).decode
_decode_id = msgspec.json.Decoder(_Id).decode


def decoded(raw: bytes, limits: Limits, denylist: Denylist) -> dict[str, Any]:
    """
    Return the members of an event.

    Raises:
        Rejected: it is too large or too deep, or it is no JSON object that can be read.
    """
    if len(raw) > limits.event_bytes:
        most = f"at most {limits.event_bytes} are taken; send smaller properties or fewer of them"
        raise Rejected(Code.EVENT_TOO_LARGE, "", f"the event is {len(raw)} bytes; {most}")
    # Counting brackets is far cheaper than following them, and nearly always enough.
    if raw.count(b"{") + raw.count(b"[") > limits.depth and depth_of(raw) > limits.depth:
        raise Rejected(
            Code.TOO_DEEP, "", f"objects and lists are nested over {limits.depth} deep; send flatter properties"
        )
    try:
        event = _decode(raw)
    except BROKEN as error:
        raise diagnose(raw, error, denylist) from None
    if has_long_number(raw) and (fault := unusable_member(event, denylist)):
        raise fault
    return event


def message_id_of(raw: bytes, limits: Limits) -> str:
    """Return the id that a refused event carries, as far as it can be read and shown; empty otherwise."""
    try:
        given = bytes(_decode_id(raw).messageId)
        value = msgspec.json.decode(given) if len(given) <= 8 * limits.id_chars else None
    except BROKEN:
        return ""
    if type(value) is int:
        value = str(value)
    return value if isinstance(value, str) and len(value) <= limits.id_chars else ""
