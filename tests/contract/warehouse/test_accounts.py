"""What every store answers about the health of accounts."""

from typing import Any

import pytest

from schemas.measures import numbered
from services.warehouse.domain.filters import AccountFilter
from services.warehouse.domain.rows import Place, Row, forgotten
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, example, health


def test_the_latest_snapshot_of_each_account_is_listed(store: Store) -> None:
    store.insert("account_health", [health(1, "acme", score_tenths=100), health(2, "globex", score_tenths=500)])
    store.insert("account_health", [health(3, "acme", score_tenths=900, previous_score_tenths=100, band="GREEN")])

    found = store.accounts(AccountFilter())

    assert [(a["account"], a["score_tenths"], a["band"]) for a in found] == [
        ("globex", 500, "RED"),
        ("acme", 900, "GREEN"),
    ]
    assert found[0]["at"] == T0
    latest = store.latest("acme")
    assert latest is not None
    assert latest["score_tenths"] == 900
    assert latest["measures"]["level_4w"] == 0.302663


def test_a_forgotten_account_is_listed_no_more_and_keeps_its_past_until_it_is_heard_of_again(store: Store) -> None:
    store.insert("account_health", [health(1, "acme"), health(2, "globex")])
    store.insert("account_health", [forgotten(Place("account-health", 0, 3, T0), "acme")])

    assert [a["account"] for a in store.accounts(AccountFilter())] == ["globex"]
    assert [a["account"] for a in store.accounts(AccountFilter(band="RED"))] == ["globex"]
    assert store.latest("acme") is None
    assert [s["account"] for s in store.history("acme", 5)] == ["acme"]
    assert store.positions() == {("account-health", 0): 4}

    store.insert("account_health", [health(4, "acme", sequence=1, band="GREEN", score_tenths=800)])

    assert [a["account"] for a in store.accounts(AccountFilter())] == ["globex", "acme"]
    latest = store.latest("acme")
    assert latest is not None
    assert latest["sequence"] == 1


@pytest.mark.parametrize(("descending", "judged"), [(False, ["worst", "best"]), (True, ["best", "worst"])])
def test_accounts_of_which_too_little_is_known_come_after_all_scores(
    store: Store, descending: bool, judged: list[str]
) -> None:
    store.insert(
        "account_health",
        [
            health(1, "best", score_tenths=900, band="GREEN"),
            health(2, "new", score_tenths=0, coverage=0.0, band="LEARNING"),
            health(3, "worst", score_tenths=100),
            health(4, "unknown", score_tenths=1000, coverage=0.1, band="UNKNOWN"),
        ],
    )

    found = [a["account"] for a in store.accounts(AccountFilter(descending=descending))]

    assert found[:2] == judged
    assert set(found[2:]) == {"new", "unknown"}
    assert [a["account"] for a in store.accounts(AccountFilter(band="UNKNOWN"))] == ["unknown"]


def test_a_fact_that_was_removed_is_not_taken_from_an_older_snapshot(store: Store) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store.insert("account_health", [health(1, "acme"), health(2, "acme", facts={**facts, "revenue": None})])

    assert store.accounts(AccountFilter())[0]["revenue"] is None


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("score", False, ["b", "a", "c"]),
        ("score", True, ["c", "a", "b"]),
        ("account", True, ["c", "b", "a"]),
        ("revenue", True, ["a", "b", "c"]),
        ("renewal", False, ["b", "a", "c"]),
        ("change", False, ["c", "b", "a"]),
        ("silent", True, ["a", "b", "c"]),
    ],
)
def test_accounts_are_sorted(store: Store, sort: str, descending: bool, expected: list[str]) -> None:
    base = example("account_health/examples/red.json")

    def one(offset: int, account: str, score: int, before: int | None, silent: int, **facts: Any) -> Row:
        return health(
            offset,
            account,
            score_tenths=score,
            previous_score_tenths=before,
            measures=numbered({"silent_days": float(silent)}),
            facts={**base["facts"], **facts},
        )

    store.insert(
        "account_health",
        [
            one(1, "a", 500, 400, 9, revenue=10.0, renewal_day=20_500),
            one(2, "b", 100, None, 5, revenue=5.0, renewal_day=20_400),
            one(3, "c", 900, 950, 1, revenue=None, renewal_day=None),
        ],
    )

    assert [a["account"] for a in store.accounts(AccountFilter(sort=sort, descending=descending))] == expected


def test_accounts_are_filtered_and_paged(store: Store) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store.insert("account_health", [health(n, f"a{n}", score_tenths=n) for n in range(5)])
    store.insert("account_health", [health(9, "other", band="GREEN", facts={**facts, "owner": "lee"})])

    assert [a["account"] for a in store.accounts(AccountFilter(band="RED", limit=2, offset=1))] == ["a1", "a2"]
    assert [a["account"] for a in store.accounts(AccountFilter(owner="lee"))] == ["other"]


def test_history_has_the_last_snapshot_of_each_day(store: Store) -> None:
    store.insert(
        "account_health",
        [health(n, "acme", day=100 + n // 2, sequence=n, score_tenths=n) for n in range(6)] + [health(9, "globex")],
    )

    assert [(s["day"], s["score_tenths"]) for s in store.history("acme", 2)] == [(102, 5), (101, 3)]


def test_accounts_are_ranked_by_risk_in_tenths_of_those_whose_risk_is_known(store: Store) -> None:
    risks = [5, 4, 3, 2, 1, 0, -1, -2, -2, -9]
    store.insert("account_health", [health(n, f"a{n}", risk_thousandths=risk) for n, risk in enumerate(risks)])
    store.insert("account_health", [health(20, "unknown", risk_thousandths=None)])

    found = store.accounts(AccountFilter(sort="risk"))

    assert [a["account"] for a in found] == [f"a{n}" for n in range(10)] + ["unknown"]
    assert [a["risk_tenth"] for a in found] == [1, 2, 3, 4, 5, 6, 7, 8, 8, 10, None]
    assert (store.risk_tenth("a0"), store.risk_tenth("a9"), store.risk_tenth("unknown")) == (1, 10, None)
    assert [a["risk_tenth"] for a in store.accounts(AccountFilter(owner="nobody"))] == []


def test_the_risk_of_an_account_is_found_with_what_it_predicts(store: Store) -> None:
    fitted = {"risk_thousandths": -500, "risk_predicts": "COLLAPSE"}
    ranked = {"risk_thousandths": -500, "risk_predicts": "UNKNOWN"}
    store.insert("account_health", [health(0, "fitted", **fitted), health(1, "ranked", **ranked)])

    found = [(a["account"], a["risk_thousandths"], a["risk_predicts"]) for a in store.accounts(AccountFilter())]

    assert sorted(found) == [("fitted", -500, "COLLAPSE"), ("ranked", -500, "UNKNOWN")]
