"""
People in answers: what the store still knows of the person behind a pseudonym.

Topics and tables that are kept for long have pseudonyms. The user ids are in one table, from which people can be erased;
where an id is not known any more, the pseudonym stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from services.shared.pseudonyms import PSEUDONYM

Found = Mapping[str, Any]
_Sent = tuple[str, str, str]
Beyond = Mapping[_Sent, list[Found]]


def pseudonyms_in(told: Any) -> set[str]:
    """Return the pseudonyms that any text of an answer holds."""
    if isinstance(told, str):
        return set(PSEUDONYM.findall(told)) if "u_" in told else set()
    if isinstance(told, Mapping):
        told = told.values()
    if isinstance(told, Iterable):
        return {found for each in told for found in pseudonyms_in(each)}
    return set()


def named(told: Any, names: Mapping[str, str]) -> Any:
    """Return an answer with the user ids in the place of the pseudonyms that are known."""
    if isinstance(told, str):
        return PSEUDONYM.sub(lambda found: names.get(found[0], found[0]), told) if names and "u_" in told else told
    if isinstance(told, Mapping):
        return {name: named(value, names) for name, value in told.items()}
    if isinstance(told, list):
        return [named(each, names) for each in told]
    return told


def by_event(details: Iterable[Found]) -> Beyond:
    """Return details by source, environment and id of their events."""
    found: defaultdict[_Sent, list[Found]] = defaultdict(list)
    for each in details:
        found[_sent(each)].append(each)
    return found


def of(event: Found, details: Beyond) -> Found | None:
    """
    Return the details of an event; those of one that was attributed later name no account.

    Others may have used the id of the event, so the person has to be the same. One that was attributed may have gone on to the id
    that its person has after a login, while its details keep the one before: these are known by the times, which stay. Where
    several people could be meant, it is nobody's.
    """
    found = [each for each in details.get(_sent(event), ()) if each["account"] in ("", event["account"])]
    own = [each for each in found if each["user"] == event["user"]]
    if own:
        return max(own, key=lambda each: bool(each["account"]))
    if event["via"] == "EVENT":
        return None
    before = [each for each in found if not each["account"] and _times(each) == _times(event)]
    return before[0] if len(before) == 1 else None


def _sent(found: Found) -> _Sent:
    return found["source"], found["environment"], found["event_id"]


def _times(found: Found) -> tuple[int, int]:
    return found["occurred_at"], found["received_at"]
