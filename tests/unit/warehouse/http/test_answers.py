"""The query API answers from the store, and names the parameter that is wrong."""

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from schemas.measures import MEASURES
from services.shared.errors import Retryable
from services.warehouse.domain.rows import Place, row
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, health
from tests.support.warehouse_events import example
from tests.unit.warehouse.http.asking import client_of, of, stored


@pytest.fixture
def client() -> TestClient:
    store = MemoryStore()
    for offset, (table, topic, record, value) in enumerate(
        [
            ("account_health", "account-health", "account_health", example("account_health/examples/red.json")),
            ("account_health", "account-health", "account_health", example("account_health/examples/learning.json")),
            ("signals", "risk-signals", "signal", example("signal/examples/usage_decline_firing.json")),
            ("events", "usage-events", "usage_event", example("usage_event/examples/track.json")),
            ("events", "usage-events", "usage_event", example("usage_event/examples/track.json", account="a/b events")),
        ]
    ):
        made = row(Place(topic, 0, offset, 0), record, value)
        assert made is not None
        store.insert(table, [made])
    return client_of(store)


def test_accounts_are_listed_lowest_score_first(client: TestClient) -> None:
    answer = client.get("/v1/accounts")

    assert answer.status_code == 200
    assert [a["account"] for a in answer.json()["accounts"]] == ["acme", "newco"]
    assert answer.json()["accounts"][0] == {
        "account": "acme", "name": "Acme GmbH", "owner": "kim@tidemark.example", "revenue": 48000.0, "seats": 40,
        "stage": "ONGOING", "band": "RED", "coverage": 0.85, "score": 31.2, "previous_score": 35.5, "risk_tenth": 1,
        "risk_percent": 24.7, "risk_predicts": "the account is lost in the next 12 weeks", "silent_days": 3,
        "last_active": "2025-11-27", "renewal_date": "2026-03-31", "sequence": 214, "day": "2025-11-30",
        "at": "2025-12-01T00:00:00.000Z", "open_signals": {"critical": 0, "warning": 1, "info": 0, "expansion": 0},
    }  # fmt: skip


def test_an_account_of_which_too_little_is_known_is_never_the_best_or_the_worst(client: TestClient) -> None:
    for sort in ("score", "-score"):
        found = client.get(f"/v1/accounts?sort={sort}").json()["accounts"]
        assert [a["account"] for a in found] == ["acme", "newco"]


def test_accounts_are_filtered_by_band_in_any_case(client: TestClient) -> None:
    assert [a["account"] for a in client.get("/v1/accounts?band=learning").json()["accounts"]] == ["newco"]
    assert [a["account"] for a in client.get("/v1/accounts?sort=-account&limit=1").json()["accounts"]] == ["newco"]
    assert client.get("/v1/accounts?band=unknown").json()["accounts"] == []


def test_one_account_comes_with_health_history_activity_and_signals(client: TestClient) -> None:
    found = client.get("/v1/accounts/acme").json()

    level = {"name": "level_4w", "label": "Use of four weeks, against usual", "dimension": "usage", "unit": "share"}
    assert found["health"]["measures"][0] == {**level, "value": 0.302663}
    assert found["health"]["parts"][0] == {**level, "score": 18, "weight": 0.6, "points": 10.8, "change": -4.3}
    risk = found["health"]["risk"]
    assert found["risk_tenth"] == 1
    assert (found["risk_percent"], found["risk_predicts"]) == (24.7, "the account is lost in the next 12 weeks")
    assert (risk["risk_percent"], risk["log_odds"]) == (24.7, -1.115)
    assert risk["parts"][0] == {
        "name": "usual_risk", "label": "A usual account", "dimension": "", "unit": "count", "log_odds": -2.4,
    }  # fmt: skip
    assert round(sum(part["log_odds"] for part in risk["parts"]), 3) == risk["log_odds"]
    assert found["health"]["dates"] == {
        "first_activity": "2024-10-16",
        "last_activity": "2025-11-27",
        "first_value": "2024-11-04",
    }
    facts = found["health"]["facts"]
    assert (facts["contract_start"], facts["renewal_date"]) == ("2025-04-02", "2026-03-31")
    assert [(day["score"], day["day"], day["silent_days"]) for day in found["history"]] == [(31.2, "2025-11-30", 3)]
    assert found["activity"] == [{"day": "2025-12-01", "events": 1, "active_users": 1}]
    assert [s["rule"] for s in found["signals"]] == ["usage_decline"]


def test_a_signal_says_when_and_how_much_in_units_of_people(client: TestClient) -> None:
    found = client.get("/v1/signals").json()["signals"][0]

    assert found["at"].endswith("Z")
    assert found["score"] == example("signal/examples/usage_decline_firing.json")["score_tenths"] / 10
    assert {"score_tenths", "renewal_day"} & found.keys() == set()
    assert {"name", "label", "unit", "value", "usual"} <= found["evidence"][0].keys()


def test_no_answer_speaks_of_days_since_1970_or_of_tenths(client: TestClient) -> None:
    addresses = ("accounts", "accounts/acme", "accounts/acme/history", "accounts/acme/events", "signals", "measures")
    for address in addresses:
        text = client.get(f"/v1/{address}").text
        assert "_tenths" not in text, address
        assert not re.search(r"(_day|_at|\"at|\"day)\":\s*\d", text), address


def test_the_records_of_the_measures_are_there_for_those_who_show_them(client: TestClient) -> None:
    found = {each["name"]: each for each in client.get("/v1/measures").json()["measures"]}

    assert found.keys() == MEASURES.keys()
    assert found["level_4w"]["meaning"] == MEASURES["level_4w"].meaning
    assert found["level_4w"]["evidence"] == {"baseline_weeks": 8, "usual_week": 0.1}


def test_a_measure_of_a_later_version_is_shown_by_its_number() -> None:
    store = MemoryStore()
    value = example("account_health/examples/red.json", measures={"numbers": [900], "values": [1.5]})
    made = row(Place("account-health", 0, 1, 0), "account_health", value)
    assert made is not None
    store.insert("account_health", [made])

    measures = client_of(store).get("/v1/accounts/acme").json()["health"]["measures"]

    assert [(each["name"], each["label"], each["value"]) for each in measures] == [("measure_900", "Measure 900", 1.5)]


def test_an_account_without_health_yet_is_found_by_its_events(client: TestClient) -> None:
    found = client.get("/v1/accounts/a%2Fb%20events").json()

    assert found["account"] == "a/b events"
    assert found["health"] is None
    assert client.get("/v1/accounts/a%2Fb%20events/events").json()["events"][0]["account"] == "a/b events"


def test_history_and_events_of_an_account_have_their_own_addresses(client: TestClient) -> None:
    assert client.get("/v1/accounts/acme/history?days=1").json()["history"][0]["score"] == 31.2
    assert client.get("/v1/accounts/acme/events?limit=5").json()["events"][0]["name"] == "Report Exported"
    assert client.get("/v1/accounts/acme/events?before=1970-01-02").json()["events"] == []
    assert client.get("/v1/accounts/acme/events?kind=page,group").json()["events"] == []
    assert len(client.get("/v1/accounts/acme/events?kind=track").json()["events"]) == 1
    assert len(client.get("/v1/accounts/acme/events?before=2030-01-01T00:00:00Z").json()["events"]) == 1
    assert client.get("/v1/accounts/a%2Fb%20events/history").json()["history"] == []


def test_all_events_of_one_millisecond_are_reached_page_by_page() -> None:
    store = MemoryStore()
    made = [
        row(
            Place("usage-events", n % 4, n, 0),
            "usage_event",
            example("usage_event/examples/track.json", event_id=f"e{n}"),
        )
        for n in range(2_400)
    ]
    store.insert("events", [each for each in made if each is not None])
    client = client_of(store)

    found: list[str] = []
    cursor = ""
    for _ in range(3):
        answer = client.get(f"/v1/accounts/acme/events?limit=1000{cursor}").json()
        found += [event["event_id"] for event in answer["events"]]
        cursor = f"&cursor={answer['next']}"

    assert answer["next"] is None
    assert len(found) == len(set(found)) == 2_400


def test_signals_are_filtered(client: TestClient) -> None:
    assert len(client.get("/v1/signals?open=true&category=risk").json()["signals"]) == 1
    assert client.get("/v1/signals?severity=critical").json()["signals"] == []


def test_totals_are_told_by_topic(client: TestClient) -> None:
    assert {"topic": "usage-events", "rows": 2, "unique": 2, "exact": True} in client.get("/v1/totals").json()["totals"]


@pytest.mark.parametrize("address", ["/v1/accounts/", "/v1/accounts//history", "/v1/accounts//events"])
def test_events_without_an_account_make_no_account_of_no_name(address: str) -> None:
    nobodys = of("usage-unattributed", 0, "usage_event", example("usage_event/examples/unattributed.json", account=""))

    answer = client_of(stored([nobodys])).get(address)

    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_account")


@pytest.mark.parametrize("address", ["/v1/accounts/nobody", "/v1/accounts/nobody/history"])
def test_an_account_of_which_nothing_was_stored_is_not_found(client: TestClient, address: str) -> None:
    answer = client.get(address)

    assert answer.status_code == 404
    assert answer.json()["code"] == "no_such_account"


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/v1/accounts?limit=0", "limit"),
        ("/v1/accounts?limit=ten", "limit"),
        ("/v1/accounts?limit=%C2%B2", "limit"),
        ("/v1/accounts?limit=99999", "limit"),
        ("/v1/accounts?at=9999-12-31", "at"),
        ("/v1/accounts/acme?at=1066-10-14", "at"),
        ("/v1/accounts?at=2026-W13-2", "at"),
        ("/v1/accounts?offset=1", "offset"),
        ("/v1/accounts?band=purple", "band"),
        ("/v1/accounts?sort=--score", "sort"),
        ("/v1/accounts?sort=score;drop", "sort"),
        ("/v1/accounts?bnad=RED", "bnad"),
        ("/v1/accounts?band=RED&band=GREEN", "band"),
        ("/v1/accounts/acme?days=0", "days"),
        ("/v1/accounts/acme/history?days=x", "days"),
        ("/v1/accounts/acme/events?before=yesterday", "before"),
        ("/v1/accounts/acme/events?before=2026-W13-2", "before"),
        ("/v1/accounts/acme/events?before=1700000000000", "before"),
        ("/v1/accounts/acme/events?cursor=2", "cursor"),
        ("/v1/accounts/acme/events?cursor=MTIz", "cursor"),
        ("/v1/accounts/acme/events?cursor=%27", "cursor"),
        ("/v1/signals?open=maybe", "open"),
        ("/v1/signals?category=", "category"),
        ("/v1/signals?severity=loud", "severity"),
        ("/v1/signals?historical=2", "historical"),
        ("/v1/totals?topic=x", "topic"),
    ],
)
def test_a_wrong_parameter_is_answered_with_its_name(client: TestClient, address: str, field: str) -> None:
    answer = client.get(address)

    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert answer.json()["detail"]


def test_while_the_store_is_away_people_are_told_to_try_again() -> None:
    class Away(MemoryStore):
        def signals(self, wanted: Any) -> Any:
            raise Retryable("connection refused to 10.0.0.7", retry_after_s=2.4)

    answer = client_of(Away()).get("/v1/signals")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "10.0.0.7" not in answer.text


def test_events_and_signals_name_people_as_long_as_they_are_known() -> None:
    store = MemoryStore()
    kim = "u_5pQ0m2c9XbT1r8sZk4Yw"
    signal = example("signal/examples/usage_decline_firing.json", account="acme", summary=f"{kim} answered 3 out of 10")
    rows = [
        ("events", "usage-events", "usage_event", example("usage_event/examples/track.json")),
        ("event_details", "usage-details", "event_details", example("event_details/examples/track.json")),
        ("signals", "risk-signals", "signal", signal),
        (
            "account_health",
            "account-health",
            "account_health",
            example("account_health/examples/red.json", lowest_user=kim),
        ),
    ]
    for table, topic, record, value in rows:
        made = row(Place(topic, 0, 0, 0), record, value)
        assert made is not None
        store.insert(table, [made])
    client = client_of(store)

    (event,) = client.get("/v1/accounts/acme/events").json()["events"]
    assert (event["user"], event["user_id"], event["anonymous_id"]) == (kim, "kim", "8d1f0c5e")
    assert json.loads(event["properties"]) == {"format": "pdf", "rows": 120, "title": "Rechnungen – Übersicht"}
    assert json.loads(event["extra"])["context"]["ip"] == "192.0.2.7"
    assert client.get("/v1/signals").json()["signals"][0]["summary"] == "kim answered 3 out of 10"
    assert client.get("/v1/accounts/acme").json()["health"]["lowest_user"] == "kim"
    assert client.get(f"/v1/people/{kim}").json() == {"user": kim, "user_id": "kim"}
    assert client.get("/v1/people/u_Jd03hHq8vRk2L5nW7xAe").status_code == 404


def test_a_loss_that_was_recorded_without_a_day_is_told_apart() -> None:
    store = MemoryStore()
    for offset, (account, day) in enumerate([("acme", "2025-11-08"), ("globex", "last week"), ("acme", "soon")]):
        value = example("usage_event/examples/track.json", account=account) | {
            "name": "Account Lost",
            "properties": json.dumps({"date": day, "reason": "price"}),
            "event_id": f"l{offset}",
        }
        made = row(Place("usage-events", 0, offset, 0), "usage_event", value)
        assert made is not None
        store.insert("events", [made])

    told = client_of(store).get("/v1/losses").json()

    assert [(each["account"], each["date"], each["reason"]) for each in told["losses"]] == [
        ("acme", "2025-11-08", "price")
    ]
    assert [each["account"] for each in told["without_day"]] == ["globex"]
    assert told["total"] == 1


def test_the_last_contact_is_told_whatever_its_record_says() -> None:
    store = MemoryStore()
    for offset, (account, said) in enumerate([("acme", '{"channel":"call","author":"Kim"}'), ("globex", "[]")]):
        value = example("usage_event/examples/track.json", account=account) | {
            "name": "Customer Contacted",
            "properties": said,
            "event_id": f"c{offset}",
            "occurred_at": T0,
        }
        made = row(Place("usage-events", 0, offset, 0), "usage_event", value)
        assert made is not None
        store.insert("events", [made])

    assert client_of(store).get("/v1/contacts").json()["contacts"] == []  # nothing says what day it is
    store.insert("account_health", [health(1, "acme", at=T0)])
    told = client_of(store).get("/v1/contacts").json()

    assert sorted((each["account"], each["channel"], each["author"]) for each in told["contacts"]) == [
        ("acme", "call", "Kim"),
        ("globex", "", ""),
    ]


def test_a_judgement_is_told_without_its_text() -> None:
    said = {"episode_id": "acme:usage_silent:1", "rule": "usage_silent", "verdict": "not_useful", "text": "on leave"}
    value = example("usage_event/examples/track.json", account="acme") | {
        "name": "Signal Judged",
        "properties": json.dumps(said),
        "event_id": "j1",
        "occurred_at": T0,
    }
    made = row(Place("usage-events", 0, 1, 0), "usage_event", value)
    assert made is not None
    store = MemoryStore()
    store.insert("events", [made])
    store.insert("account_health", [health(1, "acme", at=T0)])

    told = client_of(store).get("/v1/judgements").json()

    [judgement] = told["judgements"]
    assert judgement.pop("at").startswith("2")
    assert judgement == {
        "account": "acme",
        "episode_id": "acme:usage_silent:1",
        "rule": "usage_silent",
        "severity": "",
        "verdict": "not_useful",
        "author": "",
    }
