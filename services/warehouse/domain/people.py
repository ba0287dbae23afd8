"""
People in answers: what the store still knows of the person behind a pseudonym.

Topics and tables that are kept for long have pseudonyms. The user ids are in one table, from which people can be erased;
where an id is not known any more, the pseudonym stays.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Found = Mapping[str, Any]
Beyond = Mapping[tuple[str, str], list[Found]]

_PSEUDONYM = re.compile(r"u_[A-Za-z0-9_-]{20}")


def pseudonyms_in(told: Any) -> set[str]:
    """Return the pseudonyms that any text of an answer holds."""
    if isinstance(told, str):
        return set(_PSEUDONYM.findall(told)) if "u_" in told else set()
    if isinstance(told, Mapping):
        told = told.values()
    if isinstance(told, Iterable):
        return {found for each in told for found in pseudonyms_in(each)}
    return set()


def named(told: Any, names: Mapping[str, str]) -> Any:
    """Return an answer with the user ids in the place of the pseudonyms that are known."""
    if isinstance(told, str):
        return _PSEUDONYM.sub(lambda found: names.get(found[0], found[0]), told) if names and "u_" in told else told
    if isinstance(told, Mapping):
        return {name: named(value, names) for name, value in told.items()}
    if isinstance(told, list):
        return [named(each, names) for each in told]
    return told


def by_event(details: Iterable[Found]) -> Beyond:
    """Return details by source and id of their events."""
    found: defaultdict[tuple[str, str], list[Found]] = defaultdict(list)
    for each in details:
        found[each["source"], each["event_id"]].append(each)
    return found


def of(event: Found, details: Beyond) -> Found | None:
    """Return the details of an event; those of one that was attributed later name no account."""
    for each in details.get((event["source"], event["event_id"]), ()):
        if each["account"] in ("", event["account"]):
            return each
    return None
