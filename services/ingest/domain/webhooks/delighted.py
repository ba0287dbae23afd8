"""Delighted's answers to NPS surveys as ours. Comments are left out: they are free text that people wrote about people."""

from __future__ import annotations

from services.ingest.domain.webhooks.payload import Mapped, Payload, without_nothing

EVENTS = {
    "survey_response.created": "`NPS Submitted`, if the survey is one of NPS",
    "survey_response.updated": "`NPS Submitted` with the score as it is now, if the survey is one of NPS",
}
"""Type of event to what becomes of it; docs/webhooks.md has the same table."""

ACCOUNTS = ("person_properties.NAME",)
"""Where the account may be found."""
USERS = ("person.email", "person.id", "person_properties.NAME")
"""Where the person's id may be found."""

_PROPERTIES = "person_properties."
_DATA = "event_data"


def understands(account: str) -> bool:
    """Return whether this is a place where the account may be found."""
    return account.startswith(_PROPERTIES) and len(account) > len(_PROPERTIES)


def understands_user(user: str) -> bool:
    """Return whether this is a place where the person's id may be found."""
    return user in ("person.email", "person.id") or understands(user)


def events_of(payload: Payload, account_at: str, user_at: str = "person.email") -> Mapped:
    """
    Return what becomes of one of Delighted's events.

    Args:
        payload: The event.
        account_at: `person_properties.NAME`.
        user_at: One of `USERS`; where nothing is there, it is the person's number, `person-5975.delighted`.

    Raises:
        Rejected: it does not have what an event of its type has.
    """
    kind = payload.required("event_type")
    if kind not in EVENTS:
        return Mapped(kind, [], "events of this type are not taken")
    survey = payload.text(_DATA, "survey_type")
    if survey not in ("", "nps"):
        return Mapped(kind, [], f"answers to surveys of type {survey[:40]} are not taken, only those of nps")
    score = payload.whole(_DATA, "score")
    if score is None:
        raise payload.missing(_DATA, "score")
    account = _at(payload, account_at)
    user = _at(payload, user_at) or f"person-{payload.required(_DATA, 'person', 'id')}.delighted"
    when = "updated_at" if kind == "survey_response.updated" else "created_at"
    event = {
        "type": "track",
        "event": "NPS Submitted",
        "messageId": payload.required("event_id"),
        "userId": user,
        "timestamp": payload.seconds(_DATA, when),
        "properties": without_nothing({"score": score, "response_id": payload.text(_DATA, "id")}),
    }
    return Mapped(kind, [{**event, "groupId": account} if account else event])


def _at(payload: Payload, place: str) -> str:
    """Return what is at a place that the endpoint names."""
    holder, _, name = place.partition(".")
    return payload.text(_DATA, holder, name)
