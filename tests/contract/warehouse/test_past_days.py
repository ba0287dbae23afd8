"""What every store answers about past days: what was known then, week by week, and what has changed since."""

from typing import Any

from services.shared.units import DAY_MS
from services.warehouse.domain.filters import AccountFilter
from services.warehouse.domain.rows import Place
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import health
from tests.support.health_rows import forgotten


def test_any_past_day_shows_what_was_known_at_its_end(store: Store) -> None:
    day = 20_000
    store.insert(
        "account_health",
        [
            health(1, "acme", at=day * DAY_MS + 5, score_tenths=100),
            health(2, "acme", at=(day + 1) * DAY_MS, score_tenths=200),  # midnight belongs to the day that ends
            health(3, "acme", at=(day + 1) * DAY_MS + 1, score_tenths=300),
            health(4, "globex", at=(day + 2) * DAY_MS, band="GREEN", score_tenths=900),
            forgotten(Place("account-health", 0, 5, (day + 3) * DAY_MS), "acme"),
        ],
    )

    def at(when: int | None) -> list[tuple[str, int]]:
        return [(a["account"], a["score_tenths"]) for a in store.accounts(AccountFilter(until_day=when)).rows]

    assert at(day - 1) == []
    assert at(day) == [("acme", 200)]
    assert at(day + 1) == [("acme", 300), ("globex", 900)]
    assert at(day + 2) == at(None) == [("globex", 900)]
    assert store.newest() == (day + 2) * DAY_MS
    then = store.latest("acme", day)
    assert then is not None
    assert then["score_tenths"] == 200
    assert store.latest("acme", day - 1) is None
    assert store.latest("acme", day + 2) is None


def test_weeks_go_on_with_what_was_known_until_something_else_is(store: Store) -> None:
    last = 20_027
    store.insert(
        "account_health",
        [
            health(1, "acme", at=(last - 60) * DAY_MS, band="GREEN", score_tenths=900),
            health(2, "acme", at=(last - 14) * DAY_MS, band="YELLOW", score_tenths=500),
            health(3, "acme", at=(last - 13) * DAY_MS + 1, band="RED", score_tenths=100),
            health(4, "acme", at=(last + 2) * DAY_MS, band="GREEN", score_tenths=999),
            health(5, "globex", at=(last - 20) * DAY_MS, band="GREEN", score_tenths=800),
            forgotten(Place("account-health", 0, 6, (last - 6) * DAY_MS), "globex"),
        ],
    )

    found = store.lines(["acme", "globex", "nobody"], last, 4)

    assert {name: [each and each[1] for each in line] for name, line in found.items()} == {
        "acme": [900, 500, 100, 100],
        "globex": [800, 800, None, None],
    }
    bands = store.bands(last, 4, ())
    assert [(row["slot"], row["band"], row["accounts"], row["revenue"]) for row in bands] == [
        (0, "GREEN", 2, 96000.0),
        (1, "GREEN", 1, 48000.0),
        (1, "YELLOW", 1, 48000.0),
        (2, "RED", 1, 48000.0),
        (3, "RED", 1, 48000.0),
    ]
    assert store.bands(last, 4, ["nobody"]) == []
    assert store.lines([], last, 4) == {}


def test_what_changed_since_a_day_is_told_with_both_states(store: Store) -> None:
    day = 20_000
    store.insert(
        "account_health",
        [
            health(n, name, at=day * DAY_MS, band="YELLOW", score_tenths=500)
            for n, name in enumerate(("band", "fall", "little", "gone", "same"))
        ]
        + [
            health(10, "band", at=(day + 1) * DAY_MS, band="RED", score_tenths=499),
            health(11, "fall", at=(day + 1) * DAY_MS, band="YELLOW", score_tenths=440),
            health(12, "fall", at=(day + 1) * DAY_MS + 1, band="YELLOW", score_tenths=450),
            health(13, "little", at=(day + 1) * DAY_MS, band="YELLOW", score_tenths=451),
            health(14, "new", at=(day + 1) * DAY_MS, band="RED", score_tenths=1),
            forgotten(Place("account-health", 0, 15, (day + 1) * DAY_MS), "gone"),
        ],
    )

    def told(**more: Any) -> list[tuple[str, int, int]]:
        found = store.changes(day - 1, **{"owners": (), **more})
        return [(now["account"], before["score_tenths"], now["score_tenths"]) for before, now in found]

    assert told() == [("band", 500, 499), ("fall", 500, 450)]
    assert told(until_day=day) == [("band", 500, 499), ("fall", 500, 440)]
    assert told(owners=("nobody",)) == []
