"""What every store answers about signals."""

import pytest

from services.warehouse.domain.filters import SignalFilter
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import signal


def test_signals_come_latest_first_and_each_transition_once(store: Store) -> None:
    store.insert(
        "signals", [signal(1, "acme", "usage_decline", 1, "FIRING"), signal(2, "acme", "usage_silent", 2, "FIRING")]
    )
    store.insert("signals", [signal(5, "acme", "usage_decline", 1, "FIRING")])

    assert [(s["rule"], s["transition_number"]) for s in store.signals(SignalFilter())] == [
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

    assert [(s["account"], s["transition"]) for s in store.signals(SignalFilter(open_only=True))] == [
        ("acme", "UPDATED")
    ]


@pytest.mark.parametrize(
    ("wanted", "rules"),
    [
        (SignalFilter(account="globex"), ["seat_saturation"]),
        (SignalFilter(rule="usage_decline"), ["usage_decline"]),
        (SignalFilter(category="EXPANSION"), ["seat_saturation"]),
        (SignalFilter(severity="INFO"), ["seat_saturation"]),
        (SignalFilter(owner="lee"), ["seat_saturation"]),
        (SignalFilter(historical=True), ["usage_decline"]),
        (SignalFilter(historical=False), ["seat_saturation"]),
        (SignalFilter(limit=1, offset=1), ["usage_decline"]),
    ],
)
def test_signals_are_filtered(store: Store, wanted: SignalFilter, rules: list[str]) -> None:
    store.insert(
        "signals",
        [
            signal(1, "acme", "usage_decline", 1, "FIRING", historical=True),
            signal(2, "globex", "seat_saturation", 2, "FIRING", category="EXPANSION", severity="INFO", owner="lee"),
        ],
    )

    assert [s["rule"] for s in store.signals(wanted)] == rules
