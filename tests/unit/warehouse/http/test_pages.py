"""Lists come in pages by cursors, with totals, and answers have their ETags."""

import base64
import json

import pytest
from starlette.testclient import TestClient

from services.shared.errors import Retryable
from services.warehouse.memory.store import MemoryStore
from tests.support.warehouse_events import example
from tests.unit.warehouse.http.asking import TODAY, client_of, event, health, signal, stored

LISTS = {
    "/v1/accounts?sort=-revenue": "accounts",
    "/v1/accounts/a1/history?days=9": "history",
    "/v1/accounts/a1/events?name=X": "events",
    "/v1/accounts/a1/people?days=9": "people",
    "/v1/signals?order=work&account=a1": "signals",
}


@pytest.fixture
def client() -> TestClient:
    return client_of(
        stored(
            [health(n, f"a{n}") for n in range(7)]
            + [health(10 + n, "a1", days_ago=6 - n) for n in range(7)]
            + [event(n, "a1", name="X", user=f"u{n}") for n in range(7)]
            + [signal(n, "a1", rule=f"r{n}") for n in range(7)]
        )
    )


@pytest.mark.parametrize(("address", "name"), LISTS.items())
def test_every_list_is_read_to_its_end_by_cursors(client: TestClient, address: str, name: str) -> None:
    whole = client.get(f"{address}&limit=100").json()
    paged = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"{address}&limit=3{cursor and f'&cursor={cursor}'}").json()
        assert page["total"] == 7
        paged += page[name]
        cursor = page["next"]

    assert whole["next"] is None
    assert len(whole[name]) == 7
    assert paged == whole[name]


@pytest.mark.parametrize(("address", "name"), LISTS.items())
def test_a_cursor_of_another_list_is_refused(client: TestClient, address: str, name: str) -> None:
    cursors = {a: client.get(f"{a}&limit=3").json()["next"] for a in LISTS}

    for other in set(LISTS) - {address}:
        answer = client.get(f"{address}&cursor={cursors[other]}")
        assert answer.status_code == 400, name
        assert answer.json()["field"] == "cursor"


def test_a_cursor_is_refused_with_other_parameters_and_taken_with_another_length(client: TestClient) -> None:
    cursor = client.get("/v1/accounts?limit=3").json()["next"]

    assert client.get(f"/v1/accounts?limit=2&weeks=3&cursor={cursor}").json()["accounts"][0]["account"] == "a3"
    refused = client.get(f"/v1/accounts?band=red&cursor={cursor}")
    assert refused.status_code == 400
    assert "other parameters" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("address", "name"), [("/v1/accounts?renews_within=60", "accounts"), ("/v1/accounts/a1/people?days=9", "people")]
)
def test_a_cursor_is_taken_after_midnight(address: str, name: str) -> None:
    facts = example("account_health/examples/red.json")["facts"] | {"renewal_day": TODAY + 30}
    store = stored(
        [health(n, f"a{n}", facts=facts) for n in range(5)] + [event(n, "a1", user=f"u{n}") for n in range(5)]
    )
    client = client_of(store)
    first = client.get(f"{address}&limit=3").json()

    store.insert(*_one(health(9, "a9", days_ago=-1, facts=facts)))
    rest = client.get(f"{address}&limit=1&cursor={first['next']}").json()

    assert len(first[name]) == 3
    assert len(rest[name]) == 1
    assert rest[name][0] not in first[name]


def test_a_cursor_with_a_number_past_all_bounds_is_refused(client: TestClient) -> None:
    cursor = client.get("/v1/accounts?sort=revenue&limit=3").json()["next"]
    mark, number, account = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    made = base64.urlsafe_b64encode(json.dumps([mark, 10**400, account]).encode()).decode().rstrip("=")

    answer = client.get(f"/v1/accounts?sort=revenue&limit=3&cursor={made}")

    assert isinstance(number, float)
    assert (answer.status_code, answer.json()["field"]) == (400, "cursor")


@pytest.mark.parametrize("cursor", ["x", "W10", "WzFd", "%00", "e30", "W251bGwsbnVsbCxudWxsXQ", "é", "A" * 3999])
def test_a_cursor_that_nobody_gave_is_refused(client: TestClient, cursor: str) -> None:
    for address in LISTS:
        answer = client.get(f"{address}&cursor={cursor}")
        assert (answer.status_code, answer.json()["field"]) == (400, "cursor")


@pytest.mark.parametrize(
    "address",
    ["/v1/accounts", "/v1/accounts/a1", "/v1/today", "/v1/portfolio", "/v1/measures", "/v1/totals", "/v1/activity"],
)
def test_an_answer_that_the_client_has_is_not_sent_again(address: str) -> None:
    store = stored([health(1, "a1"), event(1, "a1")])
    client = client_of(store)
    first = client.get(address)

    again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    among = client.get(address, headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert among.status_code == 304
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_an_answer_that_has_changed_has_another_etag() -> None:
    store = stored([health(1, "a1")])
    client = client_of(store)
    first = client.get("/v1/accounts").headers["ETag"]

    store.insert(*_one(health(2, "a2")))

    answer = client.get("/v1/accounts", headers={"If-None-Match": first})
    assert (answer.status_code, answer.json()["total"]) == (200, 2)


def test_an_error_of_ours_says_so_and_nothing_of_the_inside() -> None:
    class Broken(MemoryStore):
        def newest(self) -> int | None:
            raise ZeroDivisionError("secret")

    answer = client_of(Broken()).get("/v1/today")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_what_does_not_exist_is_a_problem_that_says_where_to_look(client: TestClient) -> None:
    nothing, posted = client.get("/v1/account"), client.post("/v1/accounts")

    assert (nothing.status_code, nothing.headers["content-type"]) == (404, "application/problem+json")
    assert "/openapi.json" in nothing.json()["detail"]
    assert (posted.status_code, posted.json()["code"]) == (405, "method_not_allowed")
    assert client.get("/v1/accounts/", follow_redirects=False).status_code == 404


def test_while_the_store_is_away_every_address_says_what_to_do() -> None:
    def away() -> MemoryStore:
        raise Retryable("the store is not open yet")

    from prometheus_client import CollectorRegistry

    from services.warehouse.http.app import query_app
    from services.warehouse.metrics import WarehouseMetrics

    client = TestClient(query_app(away, WarehouseMetrics(CollectorRegistry())))
    for address in ("/v1/accounts", "/v1/accounts/a", "/v1/today", "/v1/portfolio", "/v1/activity"):
        answer = client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert "/readyz" in answer.json()["detail"]


def _one(made: tuple[str, tuple[object, ...]]) -> tuple[str, list[tuple[object, ...]]]:
    return made[0], [made[1]]


def test_days_of_history_are_counted_by_the_calendar_though_a_silent_account_has_a_snapshot_a_week() -> None:
    client = client_of(stored([health(n, "acme", days_ago=7 * n) for n in reversed(range(20))]))

    assert len(client.get("/v1/accounts/acme/history?days=28").json()["history"]) == 4
    assert len(client.get("/v1/accounts/acme?days=29").json()["history"]) == 5
