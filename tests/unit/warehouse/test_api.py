"""The query API answers from the store, and names the parameter that is wrong."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.testclient import TestClient

from schemas import codec
from services.shared.errors import Retryable
from services.warehouse.api import query_routes
from services.warehouse.domain.rows import Place, row
from services.warehouse.memory import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Queries


def example(path: str, **changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((codec.ROOT / path).read_text("utf-8"))
    return {**value, **changes}


def client_of(store: Queries) -> TestClient:
    return TestClient(Starlette(routes=query_routes(lambda: store, WarehouseMetrics(CollectorRegistry()))))


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
    assert answer.json()["accounts"][0]["score_tenths"] == 312


def test_an_account_of_which_too_little_is_known_is_never_the_best_or_the_worst(client: TestClient) -> None:
    for sort in ("score", "-score"):
        found = client.get(f"/v1/accounts?sort={sort}").json()["accounts"]
        assert [a["account"] for a in found] == ["acme", "newco"]


def test_accounts_are_filtered_by_band_in_any_case(client: TestClient) -> None:
    assert [a["account"] for a in client.get("/v1/accounts?band=learning").json()["accounts"]] == ["newco"]
    assert [a["account"] for a in client.get("/v1/accounts?sort=-account&limit=1").json()["accounts"]] == ["newco"]
    assert client.get("/v1/accounts?band=unknown").json() == {"accounts": []}


def test_one_account_comes_with_health_history_activity_and_signals(client: TestClient) -> None:
    found = client.get("/v1/accounts/acme").json()

    assert found["health"]["measures"][0]["name"] == "usage_trend_4w"
    assert [day["score_tenths"] for day in found["history"]] == [312]
    assert found["activity"] == [{"day": 20423, "events": 1, "active_users": 1}]
    assert [s["rule"] for s in found["signals"]] == ["usage_decline"]


def test_an_account_without_health_yet_is_found_by_its_events(client: TestClient) -> None:
    found = client.get("/v1/accounts/a%2Fb%20events").json()

    assert found["account"] == "a/b events"
    assert found["health"] is None
    assert client.get("/v1/accounts/a%2Fb%20events/events").json()["events"][0]["account"] == "a/b events"


def test_history_and_events_of_an_account_have_their_own_addresses(client: TestClient) -> None:
    assert client.get("/v1/accounts/acme/history?days=1").json()["history"][0]["usage"]["events_7"] == 41
    assert client.get("/v1/accounts/acme/events?limit=5").json()["events"][0]["name"] == "Report Exported"
    assert client.get("/v1/accounts/acme/events?before=1").json()["events"] == []
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
    assert client.get("/v1/signals?severity=critical").json() == {"signals": []}


def test_totals_are_told_by_topic(client: TestClient) -> None:
    assert {"topic": "usage-events", "rows": 2, "unique": 2} in client.get("/v1/totals").json()["totals"]


@pytest.mark.parametrize("address", ["/v1/accounts/nobody", "/v1/accounts/nobody/history"])
def test_an_account_of_which_nothing_was_stored_is_not_found(client: TestClient, address: str) -> None:
    answer = client.get(address)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no_such_account"


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/v1/accounts?limit=0", "limit"),
        ("/v1/accounts?limit=ten", "limit"),
        ("/v1/accounts?limit=%C2%B2", "limit"),
        ("/v1/accounts?limit=99999", "limit"),
        ("/v1/accounts?offset=-1", "offset"),
        ("/v1/accounts?band=purple", "band"),
        ("/v1/accounts?sort=--score", "sort"),
        ("/v1/accounts?sort=score;drop", "sort"),
        ("/v1/accounts?bnad=RED", "bnad"),
        ("/v1/accounts?band=RED&band=GREEN", "band"),
        ("/v1/accounts/acme?days=0", "days"),
        ("/v1/accounts/acme/history?days=x", "days"),
        ("/v1/accounts/acme/events?before=yesterday", "before"),
        ("/v1/accounts/acme/events?cursor=2", "cursor"),
        ("/v1/accounts/acme/events?cursor=1:fleet:0:0", "cursor"),
        ("/v1/accounts/acme/events?cursor=1:usage-events:0:9%27", "cursor"),
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
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["detail"]


def test_while_the_store_is_away_people_are_told_to_try_again() -> None:
    class Away(MemoryStore):
        def signals(self, wanted: Any) -> Any:
            raise Retryable("connection refused to 10.0.0.7", retry_after_s=2.4)

    answer = client_of(Away()).get("/v1/signals")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "10.0.0.7" not in answer.text
