"""
Stripe's billing events as ours.

Taken from payloads of API versions from 2019 to 2025 and later, which differ in where they keep three things: since
2025-03-31 (basil) the period of a subscription is kept with its items, and an invoice names its subscription under `parent`.

An event that names its account carries no user: billing is nobody's use of the product. One that does not is kept under
the customer, `CUSTOMER.stripe`; group calls name both, so that it is known from then on whose that customer is.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from services.ingest.domain.webhooks.payload import Mapped, Payload, without_nothing
from services.ingest.errors import Code
from services.shared.errors import Rejected

EVENTS = {
    "invoice.paid": "`Invoice Paid`",
    "invoice.payment_failed": "`Payment Failed`",
    "invoice.voided": "`Invoice Voided`",
    "invoice.marked_uncollectible": "`Invoice Uncollectible`",
    "customer.subscription.created": "`Subscription Started`, and a group call",
    "customer.subscription.updated": "`Subscription Updated`, and a group call",
    "customer.subscription.resumed": "`Subscription Resumed`, and a group call",
    "customer.subscription.paused": "`Subscription Paused`",
    "customer.subscription.deleted": "`Subscription Canceled`",
    "customer.created": "a group call with the name",
    "customer.updated": "a group call with the name",
}
"""Type of event to what becomes of it; docs/webhooks.md has the same table."""

ACCOUNTS = ("metadata.KEY", "customer")
"""Where the account may be found."""

_MEANT = {"active", "trialing", "past_due"}
"""States in which what a subscription says of the account is true of it."""
_TRAITS = ("plan", "seats", "revenue", "renewal_date")
_A_YEAR = {"day": 365, "week": 52, "month": 12, "year": 1}
_NO_DECIMALS = ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")  # fmt: skip
_FACTORS = {**dict.fromkeys(_NO_DECIMALS, 1), **dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 1000)}
"""How many of its smallest unit make one of a currency, where these are not 100. Of UGX and ISK Stripe still sends hundredths."""
_TERMS_A_YEAR = 4
"""Above which there is no renewal to speak of: who pays by the month decides every month."""
_OBJECT = ("data", "object")
_LARGEST = Decimal(10) ** 15


def understands(account: str) -> bool:
    """Return whether this is a place where the account may be found."""
    return account == "customer" or (account.startswith("metadata.") and len(account) > len("metadata."))


def events_of(payload: Payload, account_at: str) -> Mapped:
    """
    Return what becomes of one of Stripe's events.

    Args:
        payload: The event, with the object as it was then under `data.object`.
        account_at: `metadata.KEY`: metadata of the object, its subscription or its customer; or `customer`, its id.

    Raises:
        Rejected: it does not have what an event of its type has.
    """
    kind = payload.required("type")
    test = payload.get("livemode") is False
    if kind not in EVENTS:
        return Mapped(kind, [], "events of this type are not taken", test)
    event_id = payload.required("id")
    at = payload.seconds("created")
    of_customer = not kind.startswith(("invoice.", "customer.subscription."))
    customer = payload.required(*_OBJECT, "id") if of_customer else _customer(payload)
    account = _account(payload, account_at, customer)
    whose: dict[str, Any] = {"groupId": account} if account else {"userId": f"{customer}.stripe"}

    if of_customer:
        if not account:
            return Mapped(kind, [], f"the customer has no {account_at}, so it is not known whose it is", test)
        traits = without_nothing({"name": payload.text(*_OBJECT, "name")})
        return Mapped(kind, [_group(event_id, at, account, customer, traits)], test=test)
    track = {"type": "track", "event": EVENTS[kind].split("`")[1], "messageId": event_id, "timestamp": at, **whose}
    if kind.startswith("invoice."):
        return Mapped(kind, [{**track, "properties": _invoice(payload)}], test=test)
    facts = _subscription(payload)
    events = [{**track, "properties": facts}]
    if account and "group call" in EVENTS[kind]:
        events.append(_group(event_id, at, account, customer, _traits(payload, facts)))
    return Mapped(kind, events, test=test)


def _group(event_id: str, at: str, account: str, customer: str, traits: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "group",
        "groupId": account,
        "userId": f"{customer}.stripe",
        "messageId": f"{event_id}:group",
        "timestamp": at,
        "traits": traits,
    }


def _customer(payload: Payload) -> str:
    """Return the customer's id; it may be sent whole."""
    if type(payload.get(*_OBJECT, "customer")) is dict:
        return payload.required(*_OBJECT, "customer", "id")
    return payload.required(*_OBJECT, "customer")


def _account(payload: Payload, account_at: str, customer: str) -> str:
    if account_at == "customer":
        return customer
    key = account_at.removeprefix("metadata.")
    for holder in ((), ("subscription_details",), ("parent", "subscription_details"), ("customer",)):
        if account := payload.text(*_OBJECT, *holder, "metadata", key):
            return account
    for line in payload.objects(*_OBJECT, "lines", "data")[:1]:
        return line.text("metadata", key)
    return ""


def _invoice(payload: Payload) -> dict[str, Any]:
    currency = payload.text(*_OBJECT, "currency").lower()
    subscription = payload.get(*_OBJECT, "subscription") or payload.get(
        *_OBJECT, "parent", "subscription_details", "subscription"
    )
    return without_nothing(
        {
            "invoice_id": payload.required(*_OBJECT, "id"),
            "amount_due": _amount(payload, "amount_due", currency),
            "amount_paid": _amount(payload, "amount_paid", currency),
            "currency": currency,
            "billing_reason": payload.text(*_OBJECT, "billing_reason"),
            "attempt_count": payload.whole(*_OBJECT, "attempt_count"),
            "subscription_id": subscription if type(subscription) is str else None,
        }
    )


def _subscription(payload: Payload) -> dict[str, Any]:
    items = [item for item in payload.objects(*_OBJECT, "items", "data") if not _metered(item)]
    quantities = [quantity for item in items if (quantity := item.whole("quantity")) is not None]
    return without_nothing(
        {
            "subscription_id": payload.required(*_OBJECT, "id"),
            "status": payload.required(*_OBJECT, "status"),
            "plan": next(filter(None, map(_plan, items)), None),
            "seats": sum(quantities) if quantities else None,
            "revenue": _revenue(items),
            "currency": payload.text(*_OBJECT, "currency").lower(),
            "renewal_date": _renewal(payload, items),
            "cancels_on": payload.day(*_OBJECT, "cancel_at"),
            "cancel_at_period_end": payload.get(*_OBJECT, "cancel_at_period_end"),
        }
    )


def _traits(payload: Payload, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what a subscription says of its account, with null for what it said before this change and says no longer."""
    said = _said(facts)
    changed = payload.get("data", "previous_attributes")
    if facts["status"] not in _MEANT or type(changed) is not dict:
        return said
    try:
        before = _said(_subscription(Payload({"data": {"object": {**payload.get(*_OBJECT), **changed}}})))
    except Rejected:
        return said  # what it was cannot be read; what it is can
    return {**said, **{name: None for name in before if name not in said}}


def _said(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in _TRAITS if name in facts} if facts["status"] in _MEANT else {}


def _renewal(payload: Payload, items: list[Payload]) -> str | None:
    """Return the day on which the earliest of the terms ends that are long enough; None where there is none."""
    if payload.get(*_OBJECT, "status") == "trialing":
        return None  # what ends is the trial
    long = [item for item in items if (terms := _terms_a_year(item)) is not None and terms <= _TERMS_A_YEAR]
    if not long:
        return None
    of_items = [day for item in long if (day := item.day("current_period_end")) is not None]
    return payload.day(*_OBJECT, "current_period_end") or min(of_items, default=None)


def _price(item: Payload) -> Payload:
    """Return the price of an item; versions before 2020 have only `plan`."""
    return item.inner("price") or item.inner("plan") or Payload({})


def _metered(item: Payload) -> bool:
    price = _price(item)
    return "metered" in (price.get("recurring", "usage_type"), price.get("usage_type"))


def _plan(item: Payload) -> str:
    price = _price(item)
    return price.text("nickname") or price.text("lookup_key") or price.text("id")


def _terms_a_year(item: Payload) -> Decimal | None:
    price = _price(item)
    interval = price.text("recurring", "interval") or price.text("interval")
    count = price.whole("recurring", "interval_count") or price.whole("interval_count") or 1
    return Decimal(_A_YEAR[interval]) / count if interval in _A_YEAR and 0 < count < _LARGEST else None


def _revenue(items: list[Payload]) -> float | None:
    """Return what the items cost a year, in units of their currency; None where a price is not said, as with tiers."""
    total = Decimal(0)
    for item in items:
        unit, terms, quantity = _cents(_price(item)), _terms_a_year(item), _charged(item)
        if unit is None or terms is None or quantity is None or not 0 <= quantity < _LARGEST:
            return None
        total += unit * quantity * terms / _FACTORS.get(_price(item).text("currency").lower(), 100)
    if not items or abs(total) > _LARGEST:
        return None
    return float(round(total, 2))


def _charged(item: Payload) -> int | None:
    """Return how often the price of an item is paid: for each of its quantity, or for each package of so many."""
    quantity, price = item.whole("quantity"), _price(item)
    package = price.inner("transform_quantity") or price.inner("transform_usage")
    if quantity is None or package is None:
        return quantity
    size = package.whole("divide_by")
    if size is None or size < 1:
        raise package.wrong("divide_by", "must be a whole number from 1 on")
    return quantity // size if package.text("round") == "down" else -(-quantity // size)


def _cents(price: Payload) -> Decimal | None:
    """Return the price of a unit in the smallest unit of the currency; it may have decimals."""
    for name in ("unit_amount_decimal", "unit_amount", "amount_decimal", "amount"):
        text = price.text(name)
        if not text:
            continue
        try:
            value = Decimal(text[:40])
        except InvalidOperation:
            raise price.wrong(name, "must be a number") from None
        if not value.is_finite() or abs(value) > _LARGEST:
            raise price.wrong(name, "must be an amount of money")
        return value
    return None


def _amount(payload: Payload, name: str, currency: str) -> float | None:
    smallest = payload.whole(*_OBJECT, name)
    if smallest is None:
        return None
    if abs(smallest) > _LARGEST:
        raise Rejected(Code.NUMBER_OUT_OF_RANGE, f"data.object.{name}", f"{name} must be an amount of money")
    return float(round(Decimal(smallest) / _FACTORS.get(currency, 100), 3))
