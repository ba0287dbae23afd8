"""What a webhook becomes, by its vendor."""

from __future__ import annotations

from services.ingest.domain.webhooks import delighted, stripe, zendesk
from services.ingest.domain.webhooks.payload import Mapped, Payload

EVENTS = {"stripe": stripe.EVENTS, "zendesk": zendesk.EVENTS, "delighted": delighted.EVENTS}
"""Vendor to the types of its events that are taken, and what becomes of each."""


def events_of(vendor: str, body: bytes, account_at: str, user_at: str) -> Mapped:
    """
    Return what becomes of a body that the vendor has signed.

    Raises:
        Rejected: it is no JSON object, or does not have what an event of its type has.
    """
    payload = Payload.read(body)
    if vendor == "stripe":
        return stripe.events_of(payload, account_at)
    if vendor == "zendesk":
        return zendesk.events_of(payload, account_at)
    return delighted.events_of(payload, account_at, user_at or "person.email")


def problems_of(vendor: str, account_at: str, user_at: str) -> list[tuple[str, str]]:
    """Return what is wrong with where an endpoint says that account and user are found, each with its field."""
    module = {"stripe": stripe, "zendesk": zendesk, "delighted": delighted}[vendor]
    problems = []
    if not module.understands(account_at):
        problems.append(("account", f"account must be {' or '.join(module.ACCOUNTS)}, not {account_at!r}"))
    if vendor != "delighted" and user_at:
        problems.append(("user", "user is only for delighted; leave it out"))
    elif vendor == "delighted" and user_at and not delighted.understands_user(user_at):
        problems.append(("user", f"user must be {' or '.join(delighted.USERS)}, not {user_at!r}"))
    return problems
