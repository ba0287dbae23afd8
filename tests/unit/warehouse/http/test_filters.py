"""Which accounts a list can be narrowed to, and whether it says that they are away."""

import pytest

from schemas.measures import numbered
from services.warehouse.memory.store import MemoryStore
from tests.support.warehouse_events import example
from tests.unit.warehouse.http.asking import TODAY, client_of, health, stored

FACTS = example("account_health/examples/red.json")["facts"]
FEAST = {"calendar_level": 0.4, "public_holidays_7": 4.0}


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    away = {"absent_from": TODAY - 3, "absent_until": TODAY + 3}
    rows = [
        health(1, "away", dates=away, facts=FACTS | {"renewal_day": TODAY + 30}),
        health(2, "feast", measures=numbered(FEAST), facts=FACTS | {"renewal_day": TODAY + 31}),
        health(3, "here", dates={}, facts=FACTS | {"renewal_day": None}, measures=numbered({"calendar_level": 0.9})),
    ]
    return stored(rows)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("renews_within=30", ["away"]),
        ("renews_within=31", ["away", "feast"]),
        ("lacking=level_4w", ["feast", "here"]),
        ("lacking=level_4w&renews_within=60", ["feast"]),
    ],
)
def test_accounts_are_narrowed_by_renewal_and_by_what_is_not_known(
    store: MemoryStore, question: str, found: list[str]
) -> None:
    told = client_of(store).get(f"/v1/accounts?sort=account&{question}").json()

    assert [each["account"] for each in told["accounts"]] == found


def test_a_list_says_who_is_away_where_it_is_asked_for(store: MemoryStore) -> None:
    told = client_of(store).get("/v1/accounts?sort=account&away=true").json()

    assert [each["away"] for each in told["accounts"]] == ["absence", "holidays", None]
    assert "away" not in client_of(store).get("/v1/accounts").json()["accounts"][0]


def test_a_measure_that_there_is_not_is_refused(store: MemoryStore) -> None:
    answer = client_of(store).get("/v1/accounts?lacking=height")

    assert answer.status_code == 400
    assert "lacking" in answer.text
