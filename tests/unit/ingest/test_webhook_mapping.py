"""What vendors send becomes what their fixtures say; each fixture names the page of the vendor that shows its shape."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.ingest.domain.admission import admit
from services.ingest.domain.request import Request
from services.ingest.domain.webhooks.vendors import EVENTS, events_of, problems_of
from services.scorer.domain.accounts.cases import Cases, note
from services.scorer.domain.accounts.cases import is_open as is_open_case
from services.shared.errors import Rejected
from services.shared.plan_file import B2B_SAAS_PLAN_FILE, DEFAULT_PLAN_FILE
from tests.support.ingest import rules
from tests.support.webhooks import FIXTURES, fixture

REQUEST = Request("hooks", "production", 1_800_000_000_000)


def mapped(vendor: str, payload: Any, account: str, user: str = "") -> Any:
    return events_of(vendor, json.dumps(payload).encode(), account, user)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_payload_of_the_documentation_becomes_our_events(path: Path) -> None:
    case = json.loads(path.read_text())
    assert case["page"].startswith("https://")

    found = mapped(path.stem.partition("-")[0], case["payload"], case["account"])

    assert found.events == case["becomes"]
    assert found.why == case.get("why", "")
    for event in found.events:
        admitted = admit(json.dumps(event).encode(), REQUEST, rules(), lambda: "assigned").event
        assert admitted["id_source"] == "CLIENT"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_what_is_attributed_is_nobodys_use(path: Path) -> None:
    """Only answers have a person; a user on billing or tickets would count as somebody who uses the product."""
    case = json.loads(path.read_text())
    for event in case["becomes"]:
        if "groupId" in event and event["type"] == "track" and event["event"] != "NPS Submitted":
            assert "userId" not in event
            assert "anonymousId" not in event


def test_every_type_that_is_taken_becomes_something() -> None:
    whole = {
        "stripe": fixture("stripe-subscription-updated-basil"),
        "zendesk": fixture("zendesk-ticket-created"),
        "delighted": fixture("delighted-response-updated"),
    }
    for vendor, types in EVENTS.items():
        for kind in types:
            case = whole[vendor]
            if kind.startswith("zen:event-type:organization"):
                case = fixture("zendesk-organization-external-id")
            elif kind.startswith("tidemark:"):
                case = fixture("zendesk-trigger")
            elif kind.endswith(("status_changed", "organization_changed")):
                case = fixture("zendesk-ticket-solved" if "status" in kind else "zendesk-ticket-moved")
            payload = {**case["payload"], ("event_type" if vendor == "delighted" else "type"): kind}
            events = mapped(vendor, payload, case["account"]).events
            assert events, kind
            said = EVENTS[vendor][kind]
            assert all(event["event"] in said for event in events if event["type"] == "track")
            assert ("group call" in said) == any(event["type"] == "group" for event in events)


def test_a_canceled_subscription_changes_no_trait() -> None:
    case = fixture("stripe-subscription-updated-basil")
    case["payload"]["data"]["object"]["status"] = "canceled"

    events = mapped("stripe", case["payload"], case["account"]).events

    assert events[1]["traits"] == {}


def test_the_end_of_a_trial_is_no_renewal() -> None:
    case = fixture("stripe-subscription-updated-basil")
    case["payload"]["data"]["object"]["status"] = "trialing"

    traits = mapped("stripe", case["payload"], case["account"]).events[1]["traits"]

    assert traits == {"plan": "Team, yearly", "seats": 25, "revenue": 6000.0}


def yearly_once() -> Any:
    """Return a payload of a subscription that was paid by the year, with its item, and what the item was."""
    case = fixture("stripe-subscription-updated-basil")
    data = case["payload"]["data"]
    (item,) = data["object"]["items"]["data"]
    data["previous_attributes"] = {"items": {"data": [copy.deepcopy(item)]}}
    return case, item, data["previous_attributes"]


def test_who_pays_by_the_month_from_now_on_renews_no_more() -> None:
    """Without the null the former date would stand for ever: near, and then overdue."""
    case, item, _ = yearly_once()
    item["price"]["recurring"]["interval"] = "month"

    group = mapped("stripe", case["payload"], case["account"]).events[1]

    assert group["traits"] == {"plan": "Team, yearly", "seats": 25, "revenue": 72_000.0, "renewal_date": None}
    assert '"renewal_date":null' in admit(json.dumps(group).encode(), REQUEST, rules(), lambda: "").event["properties"]


def test_who_pays_by_use_from_now_on_has_no_seats_and_no_price() -> None:
    case, item, _ = yearly_once()
    item["price"]["recurring"] = {"interval": "month", "interval_count": 1, "usage_type": "metered"}

    traits = mapped("stripe", case["payload"], case["account"]).events[1]["traits"]

    assert traits == {"plan": None, "seats": None, "revenue": None, "renewal_date": None}


@pytest.mark.parametrize(
    "former",
    [
        {"items": {"data": [{"quantity": 20}]}},  # it does not say what it cost
        {"items": {"data": [{"quantity": "many"}]}},
        {"status": "incomplete"},  # then it had said nothing of the account
        {"status": None},
        {"metadata": {}},
        None,
    ],
)
def test_what_a_subscription_has_not_said_before_it_does_not_take_back(former: Any) -> None:
    case, item, _ = yearly_once()
    item["price"]["recurring"]["interval"] = "month"
    case["payload"]["data"]["previous_attributes"] = former

    traits = mapped("stripe", case["payload"], case["account"]).events[1]["traits"]

    assert traits == {"plan": "Team, yearly", "seats": 25, "revenue": 72_000.0}


def test_metered_items_are_no_seats_and_tiers_have_no_price() -> None:
    case = fixture("stripe-subscription-updated-basil")
    items = case["payload"]["data"]["object"]["items"]["data"]
    metered = json.loads(json.dumps(items[0]))
    metered["price"]["recurring"]["usage_type"] = "metered"
    items.append(metered)
    assert mapped("stripe", case["payload"], case["account"]).events[0]["properties"]["seats"] == 25

    for name in ("unit_amount", "unit_amount_decimal"):
        items[0]["price"][name] = None
    assert "revenue" not in mapped("stripe", case["payload"], case["account"]).events[0]["properties"]


@pytest.mark.parametrize("name", ["transform_quantity", "transform_usage"])
@pytest.mark.parametrize(("rounded", "revenue"), [("up", 3 * 240.0), ("down", 2 * 240.0)])
def test_a_price_of_a_package_is_paid_for_each_package(name: str, rounded: str, revenue: float) -> None:
    """https://docs.stripe.com/products-prices/pricing-models#package-pricing; plans of old versions call it by the other name."""
    case = fixture("stripe-subscription-updated-basil")
    item = case["payload"]["data"]["object"]["items"]["data"][0]
    item["price"][name] = {"divide_by": 10, "round": rounded}

    traits = mapped("stripe", case["payload"], case["account"]).events[1]["traits"]

    assert (traits["seats"], traits["revenue"]) == (25, revenue)

    item["price"][name]["divide_by"] = 0
    with pytest.raises(Rejected) as caught:
        mapped("stripe", case["payload"], case["account"])
    assert caught.value.field == f"data.object.items.data.0.price.{name}.divide_by"


@pytest.mark.parametrize(
    ("currency", "paid"), [("usd", 50.0), ("jpy", 5000.0), ("kwd", 5.0), ("isk", 50.0), ("ugx", 50.0)]
)
def test_amounts_are_in_units_of_their_currency_as_stripe_counts_them(currency: str, paid: float) -> None:
    """Shillings and krónur have no decimals any more, and Stripe still sends hundredths (docs.stripe.com/currencies#special-cases)."""
    case = fixture("stripe-invoice-paid-basil")
    case["payload"]["data"]["object"] |= {"currency": currency, "amount_paid": 5000}

    assert mapped("stripe", case["payload"], case["account"]).events[0]["properties"]["amount_paid"] == paid


def test_the_customer_itself_may_be_the_account() -> None:
    case = fixture("stripe-invoice-paid-basil")

    assert mapped("stripe", case["payload"], "customer").events[0]["groupId"] == "cus_QXg1o8vcGmoR32"


def test_a_customer_that_is_sent_whole_has_the_account_in_its_metadata() -> None:
    case = fixture("stripe-subscription-deleted-2019")
    case["payload"]["data"]["object"]["customer"] = {"id": "cus_1", "metadata": {"account_id": "acme"}}

    assert mapped("stripe", case["payload"], case["account"]).events[0]["groupId"] == "acme"


def test_test_mode_is_told() -> None:
    case = fixture("stripe-invoice-paid-basil")

    assert not mapped("stripe", case["payload"], case["account"]).test
    assert mapped("stripe", {**case["payload"], "livemode": False}, case["account"]).test


@pytest.mark.parametrize("none", [None, "0", ""])
def test_a_ticket_without_an_organization_is_no_accounts(none: Any) -> None:
    """Zendesk's documents show "0" in the place of an organization that there is not (user events, `organization_id`)."""
    created, moved = fixture("zendesk-ticket-created"), fixture("zendesk-ticket-moved")
    created["payload"]["detail"]["organization_id"] = none
    moved["payload"]["event"]["previous"] = none

    (opened,) = mapped("zendesk", created["payload"], created["account"]).events
    left, joined = mapped("zendesk", moved["payload"], moved["account"]).events

    assert [(each.get("groupId"), each.get("userId")) for each in (opened, left, joined)] == [
        (None, "requester-8447388090494.zendesk"),
        (None, "requester-8447388090494.zendesk"),
        ("8447346622463", None),
    ]


@pytest.mark.parametrize(
    ("types", "is_open"),
    [(("opened", "closed"), False), (("opened", "closed", "reopened"), True), (("closed", "reopened"), True)],
)
def test_a_trigger_knows_minutes_and_a_ticket_is_as_it_was_left_in_one(types: tuple[str, ...], is_open: bool) -> None:
    """`{{ticket.updated_at_with_timestamp}}` is 2013-12-12T05:35Z: an automatic reply reopens a ticket in the minute of its solution."""
    case = fixture("zendesk-trigger")
    cases: Cases = {}
    ids = set()
    for name in types:
        (event,) = mapped("zendesk", {**case["payload"], "type": f"tidemark:ticket_{name}"}, case["account"]).events
        admitted = admit(json.dumps(event).encode(), REQUEST, rules(), lambda: "assigned").event
        opens = admitted["name"] == "Ticket Opened"
        note(cases, "35436", opens * admitted["occurred_at"], (not opens) * admitted["occurred_at"])
        ids.add(admitted["event_id"])

    assert is_open_case(cases["35436"]) is is_open
    assert len(ids) == len(types)


def test_what_a_trigger_says_instead_of_a_time_is_refused_as_none() -> None:
    case = fixture("zendesk-trigger-reopened")

    (event,) = mapped("zendesk", {**case["payload"], "at": "yesterday"}, case["account"]).events

    with pytest.raises(Rejected, match="invalid_timestamp"):
        admit(json.dumps(event).encode(), REQUEST, rules(), lambda: "assigned")


def test_a_person_is_named_as_the_endpoint_says() -> None:
    case = fixture("delighted-response-updated")
    case["payload"]["event_data"]["person_properties"]["user_id"] = 42

    for user, wanted in (
        ("", "charlie_gravis@example.com"),
        ("person.id", "5975"),
        ("person_properties.user_id", "42"),
        ("person_properties.nothing", "person-5975.delighted"),
    ):
        assert mapped("delighted", case["payload"], case["account"], user).events[0]["userId"] == wanted


@pytest.mark.parametrize(
    ("name", "path", "value", "code"),
    [
        ("stripe-invoice-paid-basil", "id", None, "missing_field"),
        ("stripe-invoice-paid-basil", "created", "yesterday", "wrong_type"),
        ("stripe-invoice-paid-basil", "created", 10**30, "timestamp_out_of_range"),
        ("stripe-invoice-paid-basil", "data.object.customer", 1.5, "wrong_type"),
        ("stripe-invoice-paid-basil", "data.object.amount_due", 10**30, "number_out_of_range"),
        ("stripe-subscription-updated-basil", "data.object.items.data.0.quantity", "many", "wrong_type"),
        ("stripe-subscription-updated-basil", "data.object.items.data.0.price.unit_amount_decimal", "a lot", "wrong_type"),
        ("zendesk-ticket-created", "detail.id", None, "missing_field"),
        ("zendesk-ticket-created", "time", None, "missing_field"),
        ("delighted-response-updated", "event_data.score", None, "missing_field"),
        ("delighted-response-updated", "event_data.score", "nine", "wrong_type"),
    ],
)  # fmt: skip
def test_a_refused_payload_names_its_field(name: str, path: str, value: Any, code: str) -> None:
    case = fixture(name)
    *way, last = path.split(".")
    holder: Any = case["payload"]
    for step in way:
        holder = holder[int(step)] if step.isdigit() else holder[step]
    holder[last] = value

    with pytest.raises(Rejected) as caught:
        mapped(name.partition("-")[0], case["payload"], case["account"])

    assert (caught.value.code, caught.value.field) == (code, path)


@pytest.mark.parametrize(
    ("vendor", "account", "user", "problems"),
    [
        ("stripe", "metadata.account_id", "", 0),
        ("stripe", "customer", "", 0),
        ("stripe", "metadata.", "", 1),
        ("stripe", "subscription", "person.email", 2),
        ("zendesk", "organization.id", "", 0),
        ("zendesk", "ticket.external_id", "", 1),
        ("delighted", "person_properties.account", "person_properties.user", 0),
        ("delighted", "person.email", "email", 2),
    ],
)
def test_a_place_that_no_payload_has_is_refused(vendor: str, account: str, user: str, problems: int) -> None:
    assert len(problems_of(vendor, account, user)) == problems


@pytest.mark.parametrize("file", [DEFAULT_PLAN_FILE, B2B_SAAS_PLAN_FILE], ids=lambda file: file.stem)
def test_no_plan_that_we_ship_takes_a_webhook_for_use(file: Path) -> None:
    plan = yaml.safe_load(file.read_text())
    made = {
        event["event"] for path in FIXTURES for event in json.loads(path.read_text())["becomes"] if "event" in event
    }
    made |= {name for types in EVENTS.values() for said in types.values() for name in re.findall(r"`([^`]+)`", said)}

    for name in made:
        means = plan["events"][name]["means"]
        assert means == "ignored" or all(each.startswith(("cases.", "answers.")) for each in means), name
