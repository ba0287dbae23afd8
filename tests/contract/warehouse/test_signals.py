"""What every store answers about signals."""

from dataclasses import replace
from typing import Any

import pytest

from services.shared.units import DAY_MS
from services.warehouse.clickhouse.store import ClickHouseStore
from services.warehouse.domain.filters import SignalFilter
from services.warehouse.domain.ordering import SIGNAL_ORDERS, place
from services.warehouse.domain.rows import Place
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, example, health, signal
from tests.support.health_rows import forgotten


def test_signals_come_latest_first_and_each_transition_once(store: Store) -> None:
    store.insert(
        "signals", [signal(1, "acme", "usage_decline", 1, "FIRING"), signal(2, "acme", "usage_silent", 2, "FIRING")]
    )
    store.insert("signals", [signal(5, "acme", "usage_decline", 1, "FIRING")])

    assert [(s["rule"], s["transition_number"]) for s in store.signals(SignalFilter()).rows] == [
        ("usage_silent", 2),
        ("usage_decline", 1),
    ]


def test_open_signals_are_the_last_transitions_of_unresolved_episodes(store: Store) -> None:
    store.insert(
        "signals",
        [
            signal(1, "acme", "usage_decline", 1, "FIRING"),
            signal(2, "acme", "usage_decline", 2, "UPDATED"),
            signal(3, "globex", "usage_decline", 1, "FIRING"),
            signal(4, "globex", "usage_decline", 2, "RESOLVED"),
        ],
    )

    assert [(s["account"], s["transition"]) for s in store.signals(SignalFilter(open_only=True)).rows] == [
        ("acme", "UPDATED")
    ]


@pytest.mark.parametrize(
    ("wanted", "rules"),
    [
        (SignalFilter(account="globex"), ["seat_saturation"]),
        (SignalFilter(rule="usage_decline"), ["usage_decline"]),
        (SignalFilter(categories=("EXPANSION",)), ["seat_saturation"]),
        (SignalFilter(severities=("INFO", "CRITICAL")), ["seat_saturation"]),
        (SignalFilter(owners=("lee",)), ["seat_saturation"]),
        (SignalFilter(historical=True), ["usage_decline"]),
        (SignalFilter(historical=False), ["seat_saturation"]),
        (SignalFilter(transitions=("UPDATED", "RESOLVED")), ["seat_saturation"]),
        (SignalFilter(since_ms=T0 - 1), ["seat_saturation"]),
        (SignalFilter(since_ms=T0 - 1, open_only=True), ["seat_saturation"]),
        (SignalFilter(since_ms=T0), []),
    ],
)
def test_signals_are_filtered(store: Store, wanted: SignalFilter, rules: list[str]) -> None:
    store.insert(
        "signals",
        [
            signal(1, "acme", "usage_decline", 1, "FIRING", historical=True, at=T0 - 1),
            signal(
                2,
                "globex",
                "seat_saturation",
                2,
                "UPDATED",
                category="EXPANSION",
                severity="INFO",
                owner="lee",
                at=T0,
            ),
        ],
    )

    assert [s["rule"] for s in store.signals(wanted).rows] == rules


def test_what_opened_lately_and_was_resolved_since_is_not_open(store: Store) -> None:
    store.insert("signals", [signal(1, "acme", "usage_decline", 1, "FIRING", at=T0)])
    store.insert("signals", [signal(2, "acme", "usage_decline", 2, "RESOLVED", at=T0 + 5)])
    wanted = SignalFilter(open_only=True, since_ms=T0 - 1, transitions=("FIRING",))

    assert store.signals(wanted).rows == store.signals(replace(wanted, until_day=T0 // DAY_MS)).rows == []


def test_work_is_ordered_by_risk_severity_revenue_and_the_nearest_renewal(store: Store) -> None:
    kinds: list[dict[str, Any]] = [
        {"category": "EXPANSION", "severity": "CRITICAL", "revenue": 9e9},
        {"severity": "WARNING", "revenue": 5.0},
        {"severity": "CRITICAL", "revenue": None},
        {"severity": "CRITICAL", "revenue": 0.3, "renewal_day": None},
        {"severity": "CRITICAL", "revenue": 0.3, "renewal_day": 20_600},
        {"severity": "CRITICAL", "revenue": 0.3, "renewal_day": 20_500},
        {"severity": "INFO", "revenue": 7.0},
    ]
    store.insert("signals", [signal(n, f"a{n}", "usage_decline", 1, "FIRING", **kind) for n, kind in enumerate(kinds)])

    found = store.signals(SignalFilter(order_by="work")).rows

    assert [s["account"] for s in found] == ["a5", "a4", "a3", "a2", "a1", "a6", "a0"]


def handed_over(offset: int, account: str, day: int, **facts: Any) -> Any:
    known = example("account_health/examples/red.json")["facts"]
    return health(offset, account, day=day, at=(day + 1) * DAY_MS, facts={**known, **facts})


def test_open_signals_of_an_account_that_was_handed_over_are_found_by_its_new_owner(store: Store) -> None:
    day = T0 // DAY_MS + 1
    store.insert("signals", [signal(1, "acme", "usage_decline", 1, "FIRING", owner="kim", revenue=1.0)])
    store.insert(
        "account_health",
        [
            handed_over(1, "acme", day, name="Acme", owner="kim", revenue=1.0, renewal_day=None),
            handed_over(2, "acme", day + 9, name="Acme Group", owner="lee", revenue=2.0, renewal_day=21_000),
        ],
    )
    opened = SignalFilter(open_only=True)

    def told(wanted: SignalFilter) -> list[tuple[Any, ...]]:
        names = ("account_name", "owner", "revenue", "renewal_day")
        return [tuple(each[name] for name in names) for each in store.signals(wanted).rows]

    assert told(replace(opened, owners=("lee",))) == told(opened) == [("Acme Group", "lee", 2.0, 21_000)]
    assert told(replace(opened, owners=("kim",))) == []
    assert told(replace(opened, owners=("kim",), until_day=day)) == [("Acme", "kim", 1.0, None)]
    assert [each[1] for each in told(SignalFilter(owners=("kim",)))] == ["kim"]


def test_an_open_signal_of_an_account_that_is_not_known_keeps_what_was_known_of_it(store: Store) -> None:
    store.insert("signals", [signal(1, "acme", "usage_decline", 1, "FIRING", owner="kim")])
    gone = forgotten(Place("account-health", 0, 2, T0), "acme", T0 + DAY_MS)
    store.insert("account_health", [handed_over(1, "acme", T0 // DAY_MS, owner="lee"), gone])

    assert [each["owner"] for each in store.signals(SignalFilter(open_only=True, owners=("kim",))).rows] == ["kim"]


def test_open_signals_are_worked_on_by_what_an_account_is_worth_now(store: Store) -> None:
    day = T0 // DAY_MS + 1
    store.insert("signals", [signal(n, f"a{n}", "usage_decline", 1, "FIRING", revenue=float(n)) for n in range(4)])
    store.insert("account_health", [handed_over(n, f"a{n}", day, revenue=9.0 - n) for n in range(3)])
    wanted = SignalFilter(open_only=True, order_by="work", limit=1)

    paged: list[Any] = []
    while page := store.signals(replace(wanted, after=place(wanted.order, paged[-1]) if paged else None)).rows:
        paged += page

    assert [(each["account"], each["revenue"]) for each in paged] == [
        ("a0", 9.0),
        ("a1", 8.0),
        ("a2", 7.0),
        ("a3", 3.0),
    ]


@pytest.mark.parametrize("order_by", SIGNAL_ORDERS)
@pytest.mark.parametrize("open_only", [False, True])
def test_pages_of_signals_lose_nothing_and_repeat_nothing(store: Store, order_by: str, open_only: bool) -> None:
    store.insert(
        "signals",
        [
            signal(
                2 * n + m,
                f"a{n % 3}",
                f"rule{n}",
                1 + m,
                "UPDATED" if m else "FIRING",
                severity=("INFO", "WARNING", "CRITICAL")[n % 3],
                revenue=None if n % 4 else n * 0.1,
                at=T0 + n % 2,
            )
            for n in range(9)
            for m in range(2)
        ],
    )
    wanted = SignalFilter(order_by=order_by, open_only=open_only, limit=4)

    whole = store.signals(replace(wanted, limit=100))
    paged: list[Any] = []
    while page := store.signals(replace(wanted, after=place(wanted.order, paged[-1]) if paged else None)).rows:
        paged += page

    assert whole.total == len(whole.rows) == (9 if open_only else 18)
    assert paged == whole.rows


def test_signals_are_those_of_a_past_day(store: Store) -> None:
    day = T0 // DAY_MS
    store.insert(
        "signals",
        [
            signal(1, "acme", "usage_decline", 1, "FIRING"),
            signal(2, "acme", "usage_decline", 2, "RESOLVED"),
            signal(3, "globex", "usage_decline", 2, "FIRING", category="EXPANSION"),
        ],
    )

    def at(until_day: int | None) -> list[tuple[str, int]]:
        found = store.signals(SignalFilter(open_only=True, until_day=until_day)).rows
        return [(each["account"], each["transition_number"]) for each in found]

    assert at(day - 1) == []
    assert at(day) == [("acme", 1)]  # its midnight belongs to it
    assert at(day + 1) == at(None) == [("globex", 2)]
    counted = [{"account": "acme", "category": "RISK", "severity": "WARNING", "signals": 1}]
    assert store.open_signals(["acme", "globex"], day) == counted
    assert [each["account"] for each in store.open_signals(["acme", "globex"])] == ["globex"]
    assert store.open_signals([]) == []
    assert store.transitions(T0 + DAY_MS, ()) == {"RESOLVED": 1, "FIRING": 1}
    assert store.transitions(T0, (), day) == {"FIRING": 1}
    assert store.transitions(T0, ("nobody",)) == {}


def test_a_page_is_full_where_retention_has_taken_signals_and_not_yet_their_episodes(
    embedded_store: ClickHouseStore,
) -> None:
    embedded_store.insert("signals", [signal(n, "acme", f"rule{n}", 1, "FIRING") for n in range(9)])
    embedded_store._writer.command(
        "ALTER TABLE signals DELETE WHERE offset NOT IN (0, 4, 8) SETTINGS mutations_sync = 2"
    )
    wanted = SignalFilter(open_only=True, limit=2)

    first = embedded_store.signals(wanted)
    second = embedded_store.signals(replace(wanted, after=place(wanted.order, first.rows[-1])))

    assert [row["rule"] for row in first.rows + second.rows] == ["rule0", "rule4", "rule8"]
    assert (first.total, second.total) == (3, 3)
