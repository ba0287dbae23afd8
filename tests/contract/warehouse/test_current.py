"""What ClickHouse's store holds of all accounts is never older than what was stored or erased last."""

from dataclasses import replace
from random import Random
from typing import Any

import httpx
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from prometheus_client import CollectorRegistry

from services.shared.errors import Retryable
from services.shared.units import DAY_MS
from services.warehouse.clickhouse import current
from services.warehouse.clickhouse.store import ClickHouseStore
from services.warehouse.domain.erasing import Erasure
from services.warehouse.domain.filters import AccountFilter, day_of
from services.warehouse.domain.ordering import ACCOUNT_SORTS, place
from services.warehouse.domain.rows import Place
from services.warehouse.http.app import query_app
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, health, signal
from tests.contract.warehouse.test_agreement import healths
from tests.support.health_rows import forgotten

DAY = 20_027


class Asked:
    """Counts what the engine is asked."""

    def __init__(self, store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.questions: list[str] = []
        ask = store._found

        def counted(query: str, **parameters: Any) -> Any:
            self.questions.append(query)
            return ask(query, **parameters)

        monkeypatch.setattr(store, "_found", counted)

    def since(self) -> int:
        found, self.questions = len(self.questions), []
        return found


def listed(store: Store, **wanted: Any) -> list[tuple[str, int]]:
    return [(row["account"], row["score_tenths"]) for row in store.accounts(AccountFilter(**wanted)).rows]


def page(store: Store) -> None:
    """Ask all that a page of the portfolio needs."""
    names = [row["account"] for row in store.accounts(AccountFilter(sort="revenue", text="a")).rows]
    newest = store.newest()
    store.open_signals(names), store.risk_tenths(names), store.away(names), store.choices()
    store.lines(names, day_of(newest or 1), 5)


def test_a_list_has_what_was_stored_or_forgotten_a_moment_ago(store: Store) -> None:
    store.insert("account_health", [health(1, "acme", score_tenths=100), health(2, "globex", score_tenths=200)])
    assert listed(store) == [("acme", 100), ("globex", 200)]

    store.insert("account_health", [health(3, "acme", score_tenths=300, at=T0 + 5), health(4, "new", score_tenths=400)])
    assert listed(store) == [("globex", 200), ("acme", 300), ("new", 400)]
    assert store.newest() == T0 + 5

    store.insert("account_health", [forgotten(Place("account-health", 0, 5, T0), "acme")])
    assert listed(store, sort="account") == [("globex", 200), ("new", 400)]
    assert store.newest() == T0
    assert store.away(["acme", "new"]).keys() == {"new"}


def test_open_signals_and_their_order_follow_each_transition(store: Store) -> None:
    store.insert("account_health", [health(1, "acme"), health(2, "globex")])
    store.insert("signals", [signal(1, "globex", "usage_decline", 1, "FIRING")])
    assert [each["signals"] for each in store.open_signals(["globex"])] == [1]
    assert [account for account, _ in listed(store, sort="signals")] == ["globex", "acme"]

    store.insert("signals", [signal(2, "globex", "usage_decline", 2, "RESOLVED")])
    assert store.open_signals(["globex"]) == []
    assert [account for account, _ in listed(store, sort="signals")] == ["acme", "globex"]


def changed(store: Store, **owners: Any) -> list[tuple[str, int, int]]:
    found = store.changes(DAY - 1, owners.get("owners", ()))
    return [(now["account"], then["score_tenths"], now["score_tenths"]) for then, now in found]


def test_what_changed_since_yesterday_follows_each_snapshot_of_either_day(store: Store) -> None:
    before, today = DAY * DAY_MS - 9, DAY * DAY_MS + 9
    store.insert("account_health", [health(1, "acme", score_tenths=700, at=before, day=DAY - 1)])
    store.insert("account_health", [health(2, "globex", score_tenths=700, at=before, day=DAY - 1)])
    assert changed(store) == []

    store.insert("account_health", [health(3, "acme", score_tenths=100, at=today, day=DAY)])
    assert changed(store) == changed(store) == [("acme", 700, 100)]
    assert changed(store, owners=("nobody",)) == []

    late = [health(4, "globex", score_tenths=100, at=before + 1, day=DAY - 1)]
    store.insert("account_health", [*late, health(5, "globex", score_tenths=800, at=today, day=DAY)])
    assert changed(store) == [("acme", 700, 100), ("globex", 100, 800)]

    store.insert("account_health", [forgotten(Place("account-health", 0, 6, today), "acme")])
    assert changed(store) == [("globex", 100, 800)]


def test_yesterday_is_asked_for_once(embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(embedded_store, "_clock", lambda: now[0])
    rows = [health(1, "acme", score_tenths=700, at=DAY * DAY_MS - 9, day=DAY - 1)]
    embedded_store.insert("account_health", [*rows, health(2, "acme", score_tenths=100, at=DAY * DAY_MS + 9, day=DAY)])
    assert changed(embedded_store) == [("acme", 700, 100)]
    asked = Asked(embedded_store, monkeypatch)

    assert changed(embedded_store) == [("acme", 700, 100)]
    assert asked.since() == 0

    now[0] += current.FRESH_S
    assert changed(embedded_store) == [("acme", 700, 100)]
    assert asked.since() > 0


def test_an_erased_account_is_in_no_list_any_more(store: Store) -> None:
    store.insert("account_health", [health(1, "acme"), health(2, "globex")])
    store.insert("signals", [signal(1, "acme", "usage_decline", 1, "FIRING")])
    page(store)

    order = Erasure(Place("account-deletions", 0, 1, T0 + DAY_MS), "", "", "acme", T0, "kim", False)
    store.erase(order)

    assert [account for account, _ in listed(store)] == ["globex"]
    assert store.open_signals(["acme"]) == []
    assert not any(store.lines(["acme"], day_of(T0), 3).get("acme", ()))


async def test_an_answer_stays_the_one_a_client_has_until_something_is_stored_or_erased(
    embedded_store: ClickHouseStore,
) -> None:
    embedded_store.insert(
        "account_health", [health(1, "acme", score_tenths=100), health(2, "globex", score_tenths=200)]
    )
    app = query_app(lambda: embedded_store, WarehouseMetrics(CollectorRegistry()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warehouse") as client:
        tag = ""

        async def told() -> list[tuple[str, float, float]] | None:
            nonlocal tag
            address = "/v1/accounts?away=true&weeks=5&sort=-score"
            answer = await client.get(address, headers={"If-None-Match": tag})
            tag = answer.headers["ETag"]
            if answer.status_code == 304:
                return None
            return [(each["account"], each["score"], each["weeks"][-1]["score"]) for each in answer.json()["accounts"]]

        assert await told() == [("globex", 20.0, 20.0), ("acme", 10.0, 10.0)]
        assert await told() is None
        embedded_store.insert("account_health", [health(3, "acme", score_tenths=300)])
        assert await told() == [("acme", 30.0, 30.0), ("globex", 20.0, 20.0)]
        embedded_store.insert("signals", [signal(1, "globex", "usage_decline", 1, "FIRING")])
        assert await told() == [("acme", 30.0, 30.0), ("globex", 20.0, 20.0)]  # with another number of signals
        assert await told() is None
        embedded_store.erase(Erasure(Place("account-deletions", 0, 1, T0 + DAY_MS), "", "", "acme", T0, "kim", False))
        assert await told() == [("globex", 20.0, 20.0)]


def test_what_is_held_is_not_asked_for_again_and_a_snapshot_costs_two_narrow_questions(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_store.insert("account_health", [health(n, f"a{n}") for n in range(5)])
    page(embedded_store)
    asked = Asked(embedded_store, monkeypatch)

    page(embedded_store)
    assert asked.since() == 0

    embedded_store.insert("account_health", [health(9, "a1", score_tenths=1)])
    page(embedded_store)
    assert all("{accounts:Array(String)}" in each for each in asked.questions)
    assert asked.since() == 2


def test_a_snapshot_of_a_past_week_changes_lines_that_are_held(embedded_store: ClickHouseStore) -> None:
    rows = [health(n, "acme", at=(DAY - 7 * (4 - n)) * DAY_MS, score_tenths=100 * n) for n in range(5)]
    embedded_store.insert("account_health", rows)
    last = DAY - 1  # the midnight that begins a day belongs to the one before
    before = [(("RED", 100 * n)) for n in range(5)]
    assert [list(embedded_store.lines(["acme"], last, 5)["acme"]) for _ in range(2)] == [before, before]

    embedded_store.insert("account_health", [health(6, "acme", at=(DAY - 14) * DAY_MS, score_tenths=999)])
    embedded_store.insert("account_health", [health(7, "acme", at=DAY * DAY_MS, score_tenths=450)])

    assert [state and state[1] for state in embedded_store.lines(["acme"], last, 5)["acme"]] == [0, 100, 999, 999, 450]


@pytest.mark.parametrize("most", [current.MOST_HELD, 5])
def test_pages_agree_with_the_store_in_memory_while_rows_come(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(current, "MOST_HELD", most)
    dice, memory = Random(7), MemoryStore()
    rows = healths(dice)
    while rows:
        some, rows = rows[:150], rows[150:]
        memory.insert("account_health", some)
        embedded_store.insert("account_health", some)
        own = [signal(len(rows) + n, f"a{dice.randrange(12)}", f"r{n}", dice.randrange(1, 4), dice.choice(("FIRING", "RESOLVED")))
               for n in range(3)]  # fmt: skip
        memory.insert("signals", own)
        embedded_store.insert("signals", own)
        for _ in range(3):
            sort = dice.choice(ACCOUNT_SORTS)
            given: dict[str, Any] = dice.choice(
                ({"bands": ("RED",)}, {"text": "1"}, {"tenths": (1, 2)}, {"lacking": "x"}, {})
            )
            wanted = AccountFilter(sort=sort, descending=dice.random() < 0.5, limit=3, **given)
            found = embedded_store.accounts(wanted)
            assert found == memory.accounts(wanted), wanted
            if found.rows:
                wanted = replace(wanted, after=place(wanted.order, found.rows[-1]))
                assert embedded_store.accounts(wanted) == memory.accounts(wanted), wanted
        names, newest = [f"a{n}" for n in range(12)], memory.newest()
        assert embedded_store.newest() == newest
        assert embedded_store.open_signals(names) == memory.open_signals(names)
        assert embedded_store.choices() == memory.choices()
        lines, expected = (each.lines(names, day_of(newest or 1), 4) for each in (embedded_store, memory))
        none = (None,) * 4
        assert all(lines.get(name, none) == expected.get(name, none) for name in names)
    held = embedded_store._known
    assert (held is None) == (most == 5)
    assert all(len(lines) <= most for lines in embedded_store._lines.values())


def test_accounts_that_change_while_nobody_asks_take_no_room(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "_MOST_MARKED", 3)
    embedded_store.insert("account_health", [health(1, "acme")])
    page(embedded_store)

    embedded_store.insert("account_health", [health(n, f"a{n}") for n in range(2, 9)])

    assert embedded_store._marked is None
    assert len(listed(embedded_store)) == 8


def test_rows_of_an_insert_that_failed_are_looked_for(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_store.insert("account_health", [health(1, "acme", score_tenths=100)])
    page(embedded_store)
    insert = embedded_store._writer.insert

    def cut_short(*given: Any, **more: Any) -> None:
        insert(*given, **more)
        raise ClickHouseError("the connection was lost")

    monkeypatch.setattr(embedded_store._writer, "insert", cut_short)
    with pytest.raises(Retryable):
        embedded_store.insert("account_health", [health(2, "acme", score_tenths=700)])

    assert listed(embedded_store) == [("acme", 700)]


def test_what_comes_about_elsewhere_is_seen_after_a_while_and_a_question_that_failed_is_asked_again(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(embedded_store, "_clock", lambda: now)
    embedded_store.forget()
    embedded_store.insert("account_health", [health(1, "acme", score_tenths=100)])
    page(embedded_store)
    embedded_store._writer.command("TRUNCATE TABLE account_health_current")
    assert listed(embedded_store) == [("acme", 100)]

    now = current.FRESH_S
    with monkeypatch.context() as failing:
        failing.setattr(embedded_store, "_found", lambda *_, **__: (_ for _ in ()).throw(Retryable("away", 1.0)))
        with pytest.raises(Retryable):
            listed(embedded_store)
    assert listed(embedded_store) == []
