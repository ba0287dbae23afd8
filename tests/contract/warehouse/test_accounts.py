"""What every store answers about the health of accounts."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.measures import numbered
from services.shared.units import DAY_MS
from services.warehouse.domain.filters import AccountFilter
from services.warehouse.domain.ordering import ACCOUNT_SORTS, place
from services.warehouse.domain.rows import Place, Row
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, example, health, signal
from tests.support.health_rows import forgotten


def test_the_latest_snapshot_of_each_account_is_listed(store: Store) -> None:
    store.insert("account_health", [health(1, "acme", score_tenths=100), health(2, "globex", score_tenths=500)])
    store.insert("account_health", [health(3, "acme", score_tenths=900, previous_score_tenths=100, band="GREEN")])

    found = store.accounts(AccountFilter()).rows

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

    assert [a["account"] for a in store.accounts(AccountFilter()).rows] == ["globex"]
    assert [a["account"] for a in store.accounts(AccountFilter(bands=("RED",))).rows] == ["globex"]
    assert store.latest("acme") is None
    assert [s["account"] for s in store.history("acme", 5)] == ["acme"]
    assert store.positions() == {("account-health", 0): 4}

    store.insert("account_health", [health(4, "acme", sequence=1, band="GREEN", score_tenths=800)])

    assert [a["account"] for a in store.accounts(AccountFilter()).rows] == ["globex", "acme"]
    latest = store.latest("acme")
    assert latest is not None
    assert latest["sequence"] == 1


def test_accounts_are_found_by_the_days_of_their_renewal_and_by_what_is_not_known_of_them(store: Store) -> None:
    facts, without = example("account_health/examples/red.json")["facts"], numbered({"seats": 25.0})
    store.insert(
        "account_health",
        [
            health(1, "soon", facts=facts | {"renewal_day": 20_430}),
            health(2, "late", facts=facts | {"renewal_day": 20_600}, measures=without),
            health(3, "never", facts=facts | {"renewal_day": None}, measures=without),
        ],
    )

    def found(**wanted: Any) -> list[str]:
        page = store.accounts(AccountFilter(sort="account", **wanted))
        assert page.total == len(page.rows)
        return [row["account"] for row in page.rows]

    assert found(renewal=(20_422, 20_430)) == ["soon"]
    assert found(renewal=(20_431, 20_600)) == ["late"]
    assert found(lacking="level_4w") == ["late", "never"]
    assert found(lacking="level_4w", until_day=20_423) == ["late", "never"]
    assert found(lacking="level_4w", renewal=(0, 30_000)) == ["late"]


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

    found = [a["account"] for a in store.accounts(AccountFilter(descending=descending)).rows]

    assert found[:2] == judged
    assert set(found[2:]) == {"new", "unknown"}
    assert [a["account"] for a in store.accounts(AccountFilter(bands=("UNKNOWN",))).rows] == ["unknown"]


def test_a_fact_that_was_removed_is_not_taken_from_an_older_snapshot(store: Store) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store.insert("account_health", [health(1, "acme"), health(2, "acme", facts={**facts, "revenue": None})])

    assert store.accounts(AccountFilter()).rows[0]["revenue"] is None


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("score", False, ["b", "a", "c"]),
        ("score", True, ["c", "a", "b"]),
        ("account", True, ["c", "b", "a"]),
        ("revenue", True, ["a", "b", "c"]),
        ("renewal", False, ["b", "a", "c"]),
        ("renewal", True, ["a", "b", "c"]),
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

    assert [a["account"] for a in store.accounts(AccountFilter(sort=sort, descending=descending)).rows] == expected


def test_accounts_are_filtered_and_paged(store: Store) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store.insert("account_health", [health(n, f"a{n}", score_tenths=n) for n in range(5)])
    store.insert("account_health", [health(9, "other", band="GREEN", facts={**facts, "owner": "lee"})])

    wanted = AccountFilter(bands=("RED",), limit=2)
    first = store.accounts(wanted)
    assert [a["account"] for a in first.rows] == ["a0", "a1"]
    assert first.total == 5
    following = store.accounts(replace(wanted, after=place(wanted.order, first.rows[-1])))
    assert [a["account"] for a in following.rows] == ["a2", "a3"]
    assert following.total == 5
    assert [a["account"] for a in store.accounts(AccountFilter(owners=("lee",))).rows] == ["other"]


def test_history_has_the_last_snapshot_of_each_day(store: Store) -> None:
    store.insert(
        "account_health",
        [
            health(n, "acme", day=100 + n // 2, at=(101 + n // 2) * DAY_MS + 5 + n, sequence=n, score_tenths=n)
            for n in range(6)
        ]
        + [health(9, "globex")],
    )

    assert [(s["day"], s["score_tenths"]) for s in store.history("acme", 2)] == [(102, 5), (101, 3)]


def test_accounts_are_ranked_by_risk_in_tenths_of_those_whose_risk_is_known(store: Store) -> None:
    risks = [5, 4, 3, 2, 1, 0, -1, -2, -2, -9]
    store.insert("account_health", [health(n, f"a{n}", risk_thousandths=risk) for n, risk in enumerate(risks)])
    store.insert("account_health", [health(20, "unknown", risk_thousandths=None)])

    found = [a["account"] for a in store.accounts(AccountFilter(sort="risk")).rows]

    assert found == [f"a{n}" for n in range(10)] + ["unknown"]
    other_way = [a["account"] for a in store.accounts(AccountFilter(sort="risk", descending=True)).rows]
    assert other_way == ["a9", "a7", "a8", *(f"a{n}" for n in reversed(range(7))), "unknown"]
    assert store.risk_tenths(found) == {f"a{n}": tenth for n, tenth in enumerate([1, 2, 3, 4, 5, 6, 7, 8, 8, 10])}
    assert store.risk_tenths(["a9", "nobody"]) == {"a9": 10}
    assert store.risk_tenths([]) == {}
    riskiest = store.accounts(AccountFilter(sort="risk", tenths=(1, 8), bands=("RED",)))
    assert ([a["account"] for a in riskiest.rows], riskiest.total) == (["a0", "a7", "a8"], 3)
    assert store.accounts(AccountFilter(tenths=(1,), text="a9")).total == 0


def test_accounts_are_sorted_by_their_open_signals_the_most_severe_first(store: Store) -> None:
    names = ["calm", "chance", "info", "two_warnings", "critical", "over"]
    store.insert("account_health", [health(n, name) for n, name in enumerate(names)])
    told = [
        ("chance", "a", "EXPANSION", "INFO"), ("info", "a", "RISK", "INFO"),
        ("two_warnings", "a", "RISK", "WARNING"), ("two_warnings", "b", "RISK", "WARNING"),
        ("critical", "a", "RISK", "CRITICAL"), ("over", "a", "RISK", "CRITICAL"),
    ]  # fmt: skip
    fired = [signal(n, a, rule, 1, "FIRING", category=c, severity=s) for n, (a, rule, c, s) in enumerate(told)]
    store.insert("signals", [*fired, signal(99, "over", "a", 2, "RESOLVED", category="RISK", severity="CRITICAL")])

    found = [a["account"] for a in store.accounts(AccountFilter(sort="signals")).rows]

    assert found == ["critical", "two_warnings", "info", "chance", "calm", "over"]
    before = store.accounts(AccountFilter(sort="signals", until_day=T0 // DAY_MS, bands=("RED",), text="c"))
    assert before.total == len(before.rows)


def test_the_tenth_by_risk_of_a_past_day_is_that_among_the_accounts_of_then(store: Store) -> None:
    day = 20_000
    store.insert("account_health", [health(1, "acme", at=(day + 1) * DAY_MS, risk_thousandths=1)])
    store.insert("account_health", [health(2, "globex", at=(day + 2) * DAY_MS, risk_thousandths=2)])

    assert store.risk_tenths(["acme", "globex"], day) == {"acme": 1}
    assert store.risk_tenths(["acme", "globex"]) == {"acme": 6, "globex": 1}


def test_the_risk_of_an_account_is_found_with_what_it_predicts(store: Store) -> None:
    fitted = {"risk_thousandths": -500, "risk_predicts": "COLLAPSE"}
    ranked = {"risk_thousandths": -500, "risk_predicts": "UNKNOWN"}
    store.insert("account_health", [health(0, "fitted", **fitted), health(1, "ranked", **ranked)])

    found = [(a["account"], a["risk_thousandths"], a["risk_predicts"]) for a in store.accounts(AccountFilter()).rows]

    assert sorted(found) == [("fitted", -500, "COLLAPSE"), ("ranked", -500, "UNKNOWN")]


def test_a_day_has_one_point_in_history_also_while_the_next_one_is_under_way(store: Store) -> None:
    store.insert(
        "account_health",
        [
            health(1, "acme", day=100, at=101 * DAY_MS, score_tenths=1),
            health(2, "acme", day=100, at=101 * DAY_MS + 9, score_tenths=2),
            health(3, "acme", day=101, at=102 * DAY_MS, score_tenths=3),
            health(4, "acme", day=101, at=102 * DAY_MS + 7, score_tenths=4),
        ],
    )

    assert [(s["day"], s["score_tenths"]) for s in store.history("acme", 9)] == [(101, 4), (100, 1)]
    assert [(s["day"], s["score_tenths"]) for s in store.history("acme", 9, until_day=101)] == [(101, 3), (100, 1)]


@pytest.mark.parametrize("sort", ACCOUNT_SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_every_order_lose_nothing_and_repeat_nothing(store: Store, sort: str, descending: bool) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    bands = ("RED", "LEARNING", "GREEN", "UNKNOWN")

    def one(n: int) -> Row:
        own = {
            **facts,
            "name": None if n % 3 else f"N{n % 2}",
            "revenue": n % 4 * 0.1 or None,
            "renewal_day": n % 3 or None,
        }
        return health(
            n, f"a{n}'é", band=bands[n % 4], score_tenths=n % 5, previous_score_tenths=n % 3 or None, facts=own
        )

    store.insert("account_health", [one(n) for n in range(23)])
    wanted = AccountFilter(sort=sort, descending=descending, limit=4)

    whole = store.accounts(replace(wanted, limit=100)).rows
    paged: list[Any] = []
    while page := store.accounts(replace(wanted, after=place(wanted.order, paged[-1]) if paged else None)).rows:
        paged += page

    assert len(whole) == 23
    assert paged == whole


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (AccountFilter(text="ACM"), ["acme"]),
        (AccountFilter(text="büro"), ["globex"]),
        (AccountFilter(text="BÜRO"), ["globex"]),
        (AccountFilter(text="lee@"), ["globex"]),
        (AccountFilter(text="%"), ["odd'%_\\"]),
        (AccountFilter(text="'%_\\"), ["odd'%_\\"]),
        (AccountFilter(text="nobody"), []),
        (AccountFilter(bands=("GREEN", "YELLOW")), ["globex", "odd'%_\\"]),
        (AccountFilter(stages=("ONBOARDING",)), ["odd'%_\\"]),
        (AccountFilter(owners=("lee@x.example", "nobody")), ["globex"]),
        (AccountFilter(text="o", bands=("YELLOW",)), ["odd'%_\\"]),
    ],
)
def test_accounts_are_found_by_text_bands_stages_and_owners(
    store: Store, wanted: AccountFilter, names: list[str]
) -> None:
    facts = example("account_health/examples/red.json")["facts"]
    store.insert(
        "account_health",
        [
            health(1, "acme", score_tenths=1, facts={**facts, "name": "A", "owner": "kim"}),
            health(
                2, "globex", band="GREEN", score_tenths=2, facts={**facts, "name": "Büro", "owner": "lee@x.example"}
            ),
            health(
                3,
                "odd'%_\\",
                band="YELLOW",
                stage="ONBOARDING",
                score_tenths=3,
                facts={**facts, "name": "O", "owner": ""},
            ),
        ],
    )

    found = store.accounts(wanted)

    assert [a["account"] for a in found.rows] == names
    assert found.total == len(names)


def test_of_how_many_accounts_a_measure_is_known_and_of_how_many_it_is_above_0(store: Store) -> None:
    store.insert("account_health", [health(0, "acme"), health(1, "globex"), health(2, "gone")])
    store.insert("account_health", [health(3, "acme", measures=numbered({"tickets_open": 0.0, "age_days": 7.0}))])
    store.insert("account_health", [forgotten(Place("account-health", 0, 4, T0), "gone")])

    found = store.known_measures()

    known = {each["name"]: (each["known"], each["positive"]) for each in found}
    assert known["tickets_open"] == (2, 1)
    assert known["age_days"] == (2, 2)
    assert known["seats"] == (1, 1)
    assert "calendar_level" not in known
    assert [each["name"] for each in found] == sorted(known)


def test_several_accounts_are_read_whole_and_lists_say_what_they_can_be_narrowed_to(store: Store) -> None:
    day = 20_000
    facts = example("account_health/examples/red.json")["facts"]
    store.insert(
        "account_health",
        [
            health(1, "a", at=day * DAY_MS, score_tenths=1, facts={**facts, "owner": "kim", "revenue": 2.0}),
            health(2, "a", at=(day + 1) * DAY_MS, score_tenths=2, facts={**facts, "owner": "kim", "revenue": 3.0}),
            health(3, "b", at=day * DAY_MS, score_tenths=3, facts={**facts, "owner": "kim", "revenue": None}),
            health(4, "gone", at=day * DAY_MS, score_tenths=4),
            forgotten(Place("account-health", 0, 5, day * DAY_MS + 1), "gone"),
            health(6, "c", at=day * DAY_MS + 9, stage="RENEWAL", facts={**facts, "owner": None, "revenue": 1.0}),
        ],
    )

    found = store.snapshots(["a", "b", "gone", "nobody"], (None, day - 1))
    assert [{name: snapshot["score_tenths"] for name, snapshot in known.items()} for known in found] == [
        {"a": 2, "b": 3},
        {"a": 1, "b": 3, "gone": 4},
    ]
    assert store.snapshots([], (None, day)) == [{}, {}]
    assert store.choices() == [
        {"owner": "", "stage": "RENEWAL", "accounts": 1, "revenue": 1.0},
        {"owner": "kim", "stage": "ONGOING", "accounts": 2, "revenue": 3.0},
    ]
    assert [(row["owner"], row["accounts"]) for row in store.choices(day - 1)] == [
        ("kim", 2),
        ("kim@tidemark.example", 1),
    ]
