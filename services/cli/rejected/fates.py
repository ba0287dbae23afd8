"""What a replay does with a dead letter, or why it does nothing with it: decided from the letter alone."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from schemas.topics import USAGE_EVENTS, USAGE_REJECTED, USAGE_UNATTRIBUTED
from services.cli.rejected.letters import Letter


class Way(StrEnum):
    """How an original goes back."""

    EVENT = "event"
    """Through ingest, with others of its request."""
    BODY = "body"
    """Through ingest, as the body that it was."""
    RECORD = "record"
    """Appended to the topic that it comes from."""


class Fate(NamedTuple):
    """What becomes of a letter: a way, or the reason why there is none."""

    way: Way | None
    why: str = ""


APPENDED = frozenset({"fold_raised", "undecodable"})
"""Reasons for which the same record, appended again, may be applied: its id is not remembered."""
_SOURCES = (USAGE_EVENTS, USAGE_UNATTRIBUTED)
_REMEMBERED = "its id is remembered: send what {what} again through ingest, under another id"
_ATTRIBUTED = "say where its user belongs: `tidemark accounts resolve` sends it in again"
_WHY_NOT = {
    "no_account": _ATTRIBUTED,
    "several_accounts": _ATTRIBUTED,
    "too_many_forwards": _ATTRIBUTED,
    "too_late": "it is older than anything that is remembered, and would be too late again",
    "quarantined": _REMEMBERED.format(what="the release of its account lets in"),
    "too_many_accounts": _REMEMBERED.format(what="fits now"),
    "unknown_kind": _REMEMBERED.format(what="the new release knows"),
    "bad_properties": _REMEMBERED.format(what="was corrected"),
    "bad_case": _REMEMBERED.format(what="was corrected"),
    "bad_score": _REMEMBERED.format(what="was corrected"),
    "bad_absence": _REMEMBERED.format(what="was corrected"),
    "too_many_absences": "the scorer remembers its id: send one that fits under another id",
    "bad_trait": "the event was applied without the trait: send a corrected one under another id",
    "cannot_be_judged": "the next snapshot of the account is judged as usual",
}


def fate_of(letter: Letter, *, replayed: bool) -> Fate:
    """Return what a replay does with a letter."""
    if replayed:
        return Fate(None, "it was replayed before")
    if letter.topic == USAGE_REJECTED:
        return _through_ingest(letter)
    reason = letter.value["reason"]
    topic = letter.value["origin"].partition("/")[0]
    if reason not in APPENDED:
        return Fate(None, _WHY_NOT.get(reason, "ingest did not write the record, so nothing says what it should be"))
    if topic not in _SOURCES:
        return Fate(None, f"it is a record of {topic or 'no topic'}, which its service writes anew")
    return Fate(Way.RECORD)


def _through_ingest(letter: Letter) -> Fate:
    if letter.cut:
        return Fate(None, "its original was cut, or not kept at all, so it cannot be sent again")
    if letter.facts is None:
        return Fate(None, "nothing says how it was sent, as with webhooks and pixels: who sent it has to send it again")
    return Fate(Way.BODY if letter.facts.whole else Way.EVENT)
