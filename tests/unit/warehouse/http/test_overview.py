"""Today, the portfolio, people, weeks, and any past day."""

from typing import Any

import pytest

from schemas.measures import numbered
from services.shared.units import HOUR_MS
from services.warehouse.domain.changes import reasons
from services.warehouse.domain.presence import state
from services.warehouse.http import overview
from services.warehouse.memory import store as memory_store
from tests.support.warehouse_events import example
from tests.unit.warehouse.http.asking import NOW, TODAY, client_of, event, health, signal, stored


def test_today_tells_what_changed_why_and_what_to_work_on() -> None:
    parts = example("account_health/examples/red.json")["parts"]
    better = [{**parts[0], "contribution_tenths": 408}, parts[1]]
    store = stored(
        [
            health(1, "acme", days_ago=1, band="YELLOW", score_tenths=612, parts=better),
            health(2, "acme", band="RED", score_tenths=312),
            health(3, "rises", days_ago=1, score_tenths=100),
            health(4, "rises", score_tenths=200),
            health(5, "same", days_ago=1),
            health(6, "same"),
            signal(1, "acme", days_ago=1, severity="CRITICAL"),
            signal(2, "same", severity="INFO"),
            signal(3, "rises", days_ago=3),
            signal(4, "rises", 2, transition="RESOLVED"),
        ]
    )

    found = client_of(store).get("/v1/today").json()

    assert [(c["account"], c["from"], c["to"]["score"]) for c in found["changes"]] == [
        ("acme", {"score": 61.2, "band": "YELLOW"}, 31.2),
        ("rises", {"score": 10.0, "band": "RED"}, 20.0),
    ]
    assert found["changes_total"] == 2
    assert [(part["name"], part["points"], part["change"]) for part in found["changes"][0]["why"]] == [
        ("level_4w", 10.8, -30.0)
    ]
    assert [s["account"] for s in found["signals"]] == ["acme", "same"]
    assert (found["opened"], found["resolved"], found["total"]) == (1, 1, 2)
    assert found["as_of"] == "2025-12-01T23:59:59.999Z"


def test_a_signal_that_has_eased_comes_last_and_says_what_is_so_now() -> None:
    silent: dict[str, Any] = {"category": "RISK", "evidence": [{"name": "silent_days", "value": 30.0, "usual": 9.0}]}
    store = stored(
        [
            health(1, "back", measures=numbered({"silent_days": 0.0})),
            health(2, "gone", measures=numbered({"silent_days": 40.0})),
            signal(1, "back", days_ago=10, severity="CRITICAL", **silent),
            signal(2, "gone", days_ago=10, severity="WARNING", **silent),
        ]
    )
    client = client_of(store)

    worked = client.get("/v1/today").json()["signals"]
    listed = client.get("/v1/signals?open=true").json()["signals"]

    assert [(s["account"], s["eased"], s["evidence"][0]["now"]) for s in worked] == [
        ("gone", False, 40.0),
        ("back", True, 0.0),
    ]
    assert {s["account"]: s["eased"] for s in listed} == {"gone": False, "back": True}
    assert "eased" not in client.get("/v1/signals").json()["signals"][0]


def test_signals_that_have_eased_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_MOST_SIGNALS", 3)
    monkeypatch.setattr(overview, "_MOST_LOOKED_AT", 9)
    silent: dict[str, Any] = {"category": "RISK", "evidence": [{"name": "silent_days", "value": 30.0, "usual": 9.0}]}
    rows = []
    for n in range(12):
        silence = 40.0 if n in (1, 5, 10, 11) else 0.0
        rows += [health(n, f"a{n:02}", measures=numbered({"silent_days": silence})), signal(n, f"a{n:02}", **silent)]

    told = client_of(stored(rows)).get("/v1/today").json()

    assert [(each["account"], each["eased"]) for each in told["signals"]] == [
        ("a01", False), ("a05", False), ("a00", True),
    ]  # fmt: skip
    assert told["total"] == 12


def test_today_of_a_past_day_and_of_one_owner() -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store = stored(
        [
            health(n, name, days_ago=2 - n % 3, score_tenths=100 * (n % 3 + 1), facts={**facts, "owner": name})
            for n, name in enumerate(["a", "a", "a", "b", "b", "b"])
        ]
    )
    client = client_of(store)

    found = client.get("/v1/today?at=2025-11-30&owner=b").json()

    assert [(c["account"], c["from"]["score"], c["to"]["score"]) for c in found["changes"]] == [("b", 10.0, 20.0)]
    assert found["as_of"] == "2025-12-01T00:00:00.000Z"
    assert client.get("/v1/today?at=2020-01-01").json()["changes"] == []


def test_an_empty_store_has_a_today_and_a_portfolio() -> None:
    client = client_of(stored([]))

    today, portfolio = client.get("/v1/today").json(), client.get("/v1/portfolio").json()
    accounts = client.get("/v1/accounts?weeks=3").json()

    assert (today["as_of"], today["changes"], today["signals"], today["total"]) == (None, [], [], 0)
    assert (portfolio["weeks"], portfolio["accounts"], portfolio["as_of"]) == ([], [], None)
    assert (accounts["accounts"], accounts["total"], accounts["next"], accounts["as_of"]) == ([], 0, None, None)


def test_the_portfolio_shows_bands_week_by_week_and_the_largest_accounts() -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store = stored(
        [
            health(1, "small", days_ago=20, band="GREEN", facts={**facts, "revenue": 10.0}),
            health(2, "large", days_ago=8, band="YELLOW", facts={**facts, "revenue": 90.0}),
            health(3, "small", facts={**facts, "revenue": 10.0}),
        ]
    )

    found = client_of(store).get("/v1/portfolio?weeks=3").json()

    assert found["weeks"] == [
        {"day": "2025-11-17", "bands": {"GREEN": {"accounts": 1, "revenue": 10.0}}},
        {
            "day": "2025-11-24",
            "bands": {"GREEN": {"accounts": 1, "revenue": 10.0}, "YELLOW": {"accounts": 1, "revenue": 90.0}},
        },
        {
            "day": "2025-12-01",
            "bands": {"RED": {"accounts": 1, "revenue": 10.0}, "YELLOW": {"accounts": 1, "revenue": 90.0}},
        },
    ]
    assert [(a["account"], a["revenue"]) for a in found["accounts"]] == [("large", 90.0), ("small", 10.0)]
    assert found["owners"] == [{"owner": "kim@tidemark.example", "accounts": 2, "revenue": 100.0}]
    assert found["stages"] == [{"stage": "ONGOING", "accounts": 2}]
    assert found["total"] == 2


def test_accounts_come_with_their_weeks_and_open_signals() -> None:
    store = stored(
        [
            health(1, "acme", days_ago=7, score_tenths=500),
            health(2, "acme", score_tenths=100),
            signal(1, "acme", rule="a", severity="CRITICAL"),
            signal(2, "acme", rule="b", severity="WARNING"),
            signal(3, "acme", rule="c", category="EXPANSION", severity="WARNING"),
            signal(4, "acme", rule="d", severity="INFO"),
            signal(5, "acme", 2, rule="d", transition="RESOLVED"),
        ]
    )
    client = client_of(store)

    now = client.get("/v1/accounts?weeks=3").json()
    then = client.get("/v1/accounts?weeks=2&at=2025-11-26").json()

    (account,) = now["accounts"]
    assert account["open_signals"] == {"critical": 1, "warning": 1, "info": 0, "expansion": 1}
    assert account["weeks"] == [
        None,
        {"day": "2025-11-24", "score": 50.0, "band": "RED"},
        {"day": "2025-12-01", "score": 10.0, "band": "RED"},
    ]
    (account,) = then["accounts"]
    assert account["open_signals"] == {"critical": 0, "warning": 0, "info": 0, "expansion": 0}
    assert [week and (week["day"], week["score"]) for week in account["weeks"]] == [None, ("2025-11-26", 50.0)]
    assert then["as_of"] == "2025-11-27T00:00:00.000Z"
    assert "weeks" not in client.get("/v1/accounts").json()["accounts"][0]


def test_one_account_as_it_was_on_a_past_day() -> None:
    store = stored(
        [
            health(1, "acme", days_ago=2, score_tenths=100),
            health(2, "acme", days_ago=1, score_tenths=200),
            health(3, "acme", score_tenths=300),
            event(1, "acme", days_ago=2),
            event(2, "acme"),
            signal(1, "acme", days_ago=2),
            signal(2, "acme", 2, transition="RESOLVED"),
        ]
    )
    client = client_of(store)

    then = client.get("/v1/accounts/acme?at=2025-11-30").json()

    assert then["health"]["score"] == 20.0
    assert [point["score"] for point in then["history"]] == [20.0, 10.0]
    assert [day["day"] for day in then["activity"]] == ["2025-11-29"]
    assert [each["transition"] for each in then["signals"]] == ["FIRING"]
    assert client.get("/v1/accounts/acme/history?at=2025-11-29").json()["total"] == 1
    before = client.get("/v1/accounts/acme?at=2025-11-01")
    assert before.status_code == 404
    assert "2025-11-01" in before.json()["detail"]


def test_people_are_told_by_how_they_stand() -> None:
    kim = "u_5pQ0m2c9XbT1r8sZk4Yw"
    known: dict[str, Any] = {"topic": "usage-details", "partition": 0, "offset": 0, "user": kim, "user_id": "kim"}
    store = stored([event(1, "acme", user=kim), event(2, "acme", user=kim, days_ago=100), event(3, "acme", user="new")])
    store.insert("event_details", [tuple(known.get(name, "") for name in _columns("event_details"))])
    client = client_of(store)

    found = client.get("/v1/accounts/acme/people").json()["people"]

    assert found[1] == {
        "user": kim, "user_id": "kim", "first_active": "2025-08-23", "last_active": "2025-12-01", "active_days": 2,
        "active_days_28": 1, "state": "active",
    }  # fmt: skip
    assert (found[0]["user"], found[0]["user_id"], found[0]["state"]) == ("new", None, "joined")
    for address in ("people", "events", "history"):
        assert client.get(f"/v1/accounts/nobody/{address}").status_code == 404


def _columns(table: str) -> tuple[str, ...]:
    from services.warehouse.domain.rows import columns

    return columns(table)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [(0, 0, "joined"), (27, 3, "joined"), (28, 3, "active"), (99, 13, "active"), (99, 14, "quiet"), (99, 56, "left")],
)
def test_how_a_person_stands_follows_from_the_first_and_the_last_day(first: int, last: int, said: str) -> None:
    assert state(TODAY - first, TODAY - last, TODAY) == said


def test_what_came_in_is_told_by_the_hour() -> None:
    store = stored([event(1, "acme", received_at=NOW), event(2, "acme", received_at=NOW - 25 * HOUR_MS)])

    found = client_of(store).get("/v1/activity?hours=24").json()

    assert [(each["hour"], each["name"], each["events"]) for each in found["events"]] == [
        ("2025-12-01T23:00:00.000Z", "Report Exported", 1)
    ]
    assert (found["unattributed"], found["total"]) == ([], 1)


def test_where_more_came_in_than_is_listed_the_hours_that_are_told_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = [event(n, "acme", name=f"Event {n}", received_at=NOW - n // 3 * HOUR_MS) for n in range(12)]
    store = stored(arrived)
    whole = client_of(store).get("/v1/activity?hours=24").json()
    for module in (memory_store, overview):
        monkeypatch.setattr(module, "MOST_ARRIVALS", 8)

    cut = client_of(store).get("/v1/activity?hours=24").json()

    assert (whole["truncated"], whole["total"]) == (False, 12)
    assert (cut["truncated"], cut["total"], cut["since"]) == (True, 6, "2025-12-01T22:00:00.000Z")
    assert [each["hour"] for each in cut["events"]] == [
        f"2025-12-01T{hour}:00:00.000Z" for hour in (23, 23, 23, 22, 22, 22)
    ]


def test_the_reasons_of_a_change_are_the_parts_that_went_its_way() -> None:
    def snapshot(score: int, **parts: int) -> dict[str, Any]:
        return {
            "score_tenths": score,
            "parts": [{"measure": m, "contribution_tenths": c, "score": 1, "weight": 0.1} for m, c in parts.items()],
        }

    before = snapshot(500, a=100, b=100, c=100, d=100, gone=90)
    now = snapshot(300, a=90, b=50, c=140, d=99, new=-5)

    found = [(part["measure"], part["change_tenths"], part["contribution_tenths"]) for part in reasons(before, now)]

    assert found == [("gone", -90, 0), ("b", -50, 50), ("a", -10, 90)]


HOSTILE = [
    "<script>alert(1)</script>",
    "'; DROP TABLE account_health; --",
    "x" * 10_000,
    "\u202egnirts\u202c مرحبا",
    "💥👩‍👩‍👧",
    "a/b/history",
    "a/history",
    "..",
    "100%25 %2F",
    " \t\n\\",
    "history",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_of_an_account_breaks_anything(name: str) -> None:
    from urllib.parse import quote

    facts = {**example("account_health/examples/red.json")["facts"], "name": name, "owner": name}
    client = client_of(
        stored(
            [
                health(1, name, facts=facts, measures=numbered({"silent_days": 3.0})),
                event(1, name, name=name, user=name),
                signal(1, name),
            ]
        )
    )
    address = f"/v1/accounts/{quote(name, safe='').replace('.', '%2E')}"

    assert client.get(address).json()["health"]["account"] == name
    assert client.get(f"{address}/history").json()["history"][0]["facts"]["name"] == name
    assert client.get(f"{address}/people").json()["people"][0]["user"] == name
    assert [e["name"] for e in client.get(f"{address}/events").json()["events"]] == [name]
    assert client.get("/v1/accounts", params={"q": name[:200]}).json()["total"] == 1
    assert client.get("/v1/signals", params={"account": name}).json()["total"] == 1
