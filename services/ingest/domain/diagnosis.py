"""
Say where in an event a value is that JSON or Tidemark cannot carry.

Only called for events that are refused anyway, so it may be slow; it never raises.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from services.ingest.domain.denylist import Denylist
from services.ingest.errors import Code
from services.shared.errors import Rejected

_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)
_MAX_INT = 2**64


def depth_of(raw: bytes) -> int:
    """Return how deeply objects and lists are nested, without recursion."""
    depth = deepest = 0
    for found in _BRACKET.finditer(raw):
        token = found.group()
        if token in (b"{", b"["):
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"}", b"]"):
            depth -= 1
    return deepest


def diagnose(raw: bytes, error: Exception, denylist: Denylist | None = None) -> Rejected:
    """
    Return the refusal for an event whose bytes msgspec could not read or write, naming the field if found.

    Of what is denied nothing is named: below it, names of members are data too.
    """
    try:
        event = json.loads(raw)
    except RecursionError:
        return Rejected(Code.TOO_DEEP, "", "objects and lists are nested too deeply")
    except UnicodeDecodeError:
        return Rejected(Code.INVALID_TEXT, "", f"the event is not UTF-8 ({error})")
    except json.JSONDecodeError as found:
        if not raw.strip():
            return Rejected(Code.MALFORMED_JSON, "", "there is no event here; leave out the comma before or after it")
        return Rejected(Code.MALFORMED_JSON, "", f"the event is not JSON: {found}")
    except ValueError:  # Python refuses integers of over 4,300 digits
        return Rejected(Code.NUMBER_OUT_OF_RANGE, "", "a number has more digits than 64 bits can hold")
    if not isinstance(event, dict):
        return Rejected(Code.WRONG_TYPE, "", f"an event must be a JSON object, not {_kind(event)}")
    try:
        return unusable_member(event, denylist) or Rejected(
            Code.MALFORMED_JSON, "", f"the event cannot be read: {error}"
        )
    except RecursionError:
        return Rejected(Code.TOO_DEEP, "", "objects and lists are nested too deeply")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def unusable_member(event: dict[str, Any], denylist: Denylist | None) -> Rejected | None:
    """Return the refusal for the first value of an event that cannot be carried; None where all can."""
    found = unusable_value(denylist.masked(event) if denylist else event)
    if found is None and denylist and (denied := unusable_value(event)):
        detail = "something that the tracking plan denies holds a number or text that JSON cannot carry; leave it out"
        return Rejected(denied.code, "", detail)
    return found


def unusable_value(value: Any, path: str = "") -> Rejected | None:
    """Return the refusal for the first value, or name of a member, that cannot be carried; None where all can."""
    if isinstance(value, dict):
        for name, member in value.items():
            found = unusable_value(name, path) or unusable_value(member, f"{path}.{name}" if path else str(name))
            if found:
                return found
    elif isinstance(value, list):
        for index, member in enumerate(value):
            if found := unusable_value(member, f"{path}[{index}]"):
                return found
    elif isinstance(value, float) and not math.isfinite(value):
        # Written as NaN or Infinity it is not JSON; written as 1e999 it is, and no double holds it.
        code = Code.NUMBER_NOT_FINITE if math.isnan(value) else Code.NUMBER_OUT_OF_RANGE
        return Rejected(code, path, f"{value} is not a finite number; leave the field out or send null")
    elif isinstance(value, int) and not -_MAX_INT // 2 <= value < _MAX_INT:
        return Rejected(Code.NUMBER_OUT_OF_RANGE, path, "the number does not fit in 64 bits; send it as text")
    elif isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return Rejected(Code.INVALID_TEXT, path, "the text holds half of a surrogate pair, which is no character")
    return None
