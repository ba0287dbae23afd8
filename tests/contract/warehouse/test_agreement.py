"""ClickHouse answers as the store in memory does, of pasts with gaps, repetitions, and accounts that come late or are forgotten."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from services.shared.units import DAY_MS
from services.warehouse.clickhouse import events
from services.warehouse.clickhouse.store import ClickHouseStore
from services.warehouse.domain import ordering
from services.warehouse.domain.filters import AccountFilter, EventFilter, PeopleFilter, SignalFilter
from services.warehouse.domain.rows import Place, Row, columns
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import event, example, health, signal
from tests.support.health_rows import forgotten

FIRST, DAYS = 20_000, 40
OWNERS = ("kim", "lee")


def healths(dice: Random) -> list[Row]:
    """Return snapshots of accounts: most of them one at the end of each day, the others as it comes."""
    facts = example("account_health/examples/red.json")["facts"]
    rows: list[Row] = []
    begun = {f"a{n}": dice.randrange(DAYS) if n % 3 == 2 else 0 for n in range(12)}
    asleep = {name: range(0)[:] if n % 4 else range(dice.randrange(DAYS), DAYS) for n, name in enumerate(begun)}
    for day in range(FIRST, FIRST + DAYS):
        for name, start in begun.items():
            if day - FIRST < start or day - FIRST in asleep[name] or dice.random() < 0.02:
                continue
            for at in sorted({DAY_MS, *(dice.randrange(1, DAY_MS) for _ in range(dice.choice((0, 0, 2))))}):
                if dice.random() < 0.02:
                    rows.append(forgotten(Place("account-health", 0, len(rows), day * DAY_MS + at), name))
                    continue
                score = dice.randrange(1000)
                own = {**facts, "owner": dice.choice(OWNERS), "revenue": dice.choice((None, 10.0, 250.0))}
                more = {"risk_thousandths": dice.choice((None, score)), "at": day * DAY_MS + at, "score_tenths": score}
                band = dice.choice(("RED", "YELLOW", "GREEN", "LEARNING"))
                rows.append(health(len(rows), name, band=band, day=day, facts=own, **more))
    return rows


def stored(dice: Random, store: ClickHouseStore, table: str, rows: list[Row]) -> MemoryStore:
    """Store rows in both, some of them twice in ClickHouse, as after a crash."""
    memory = MemoryStore()
    memory.insert(table, rows)
    start = 0
    while start < len(rows):
        end = start + dice.randrange(20, 120)
        store.insert(table, rows[max(0, start - dice.choice((0, 10))) : end])
        start = end
    return memory


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_of_all_accounts_at_the_ends_of_days_and_weeks(embedded_store: ClickHouseStore, seed: int) -> None:
    dice = Random(seed)
    memory = stored(dice, embedded_store, "account_health", healths(dice))

    for day in (None, *dice.sample(range(FIRST - 1, FIRST + DAYS + 2), 6)):
        wanted = AccountFilter(sort="account", until_day=day, limit=dice.choice((3, 100)))
        assert embedded_store.accounts(wanted) == memory.accounts(wanted), day
        names = [f"a{n}" for n in range(12)]
        assert embedded_store.risk_tenths(names, day) == memory.risk_tenths(names, day)
        assert embedded_store.choices(day) == memory.choices(day)
        assert embedded_store.snapshots(names, (FIRST + 9, day)) == memory.snapshots(names, (FIRST + 9, day))
        last = FIRST + DAYS if day is None else day
        assert embedded_store.away(names, day) == memory.away(names, day)
        for _ in range(2):  # the second time they are held
            lines, expected = (each.lines(names, last, 5) for each in (embedded_store, memory))
            assert all(lines.get(name, (None,) * 5) == expected.get(name, (None,) * 5) for name in names), last
        for owners in ((), ("kim",)):
            weeks = dice.choice((1, 2, 5))
            assert embedded_store.bands(last, weeks, owners) == memory.bands(last, weeks, owners), (last, weeks)
            before = last - dice.choice((1, 1, 9))
            assert embedded_store.changes(before, owners, day) == memory.changes(before, owners, day), (before, day)


def test_of_accounts_that_were_forgotten_and_came_back_within_a_backfill(embedded_store: ClickHouseStore) -> None:
    """Snapshots, and when the account was forgotten, have the time of the log then, which is far behind that of the broker."""
    now = FIRST + DAYS
    rows: list[Row] = []
    for name, past in {"back": (0, 3, None, 6, 20), "gone": (0, 6, None), "twice": (5, None, 6, None, 20, 21)}.items():
        at = FIRST * DAY_MS
        for day in past:
            place = Place("account-health", 0, len(rows), now * DAY_MS + 1)
            at = at + DAY_MS if day is None else (FIRST + day + 1) * DAY_MS
            rows.append(forgotten(place, name, at) if day is None else health(len(rows), name, day=FIRST + day, at=at))
    memory = MemoryStore()
    memory.insert("account_health", rows)
    embedded_store.insert("account_health", rows)

    for day in (FIRST + 6, FIRST + 21, now - 1, now, now + 1, now + 2):
        wanted = AccountFilter(sort="account", until_day=day)
        assert embedded_store.accounts(wanted) == memory.accounts(wanted), day - FIRST
        assert embedded_store.changes(day - 1, (), day) == memory.changes(day - 1, (), day)
        for weeks in (1, 2, 5):
            assert embedded_store.bands(day, weeks, ()) == memory.bands(day, weeks, ()), (day - FIRST, weeks)
    assert [row["account"] for row in memory.accounts(AccountFilter(sort="account", until_day=now)).rows] == [
        "back",
        "twice",
    ]


@pytest.mark.parametrize("seed", range(2))
def test_of_the_signals_that_are_open(embedded_store: ClickHouseStore, seed: int) -> None:
    dice = Random(seed)
    rows: list[Row] = []
    for episode in range(30):
        account, rule, shut = f"a{episode % 7}", f"rule{episode % 4}", dice.randrange(1, 6)
        kind = {"severity": dice.choice(("INFO", "CRITICAL")), "owner": dice.choice(OWNERS)}
        for number in range(1, dice.randrange(2, 6)):
            turn = "FIRING" if number == 1 else "RESOLVED" if number == shut else "UPDATED"
            for _ in range(dice.choice((1, 1, 2))):
                at = (FIRST + number) * DAY_MS + episode
                rows.append(signal(len(rows), account, rule, number, turn, at=at, episode_id=f"e{episode}",
                                   signal_id=f"e{episode}:{number}", **kind))  # fmt: skip
            if turn == "RESOLVED":
                break
    memory = stored(dice, embedded_store, "signals", rows)
    known = [row for row in healths(dice) if row[columns("account_health").index("account")] != "a3"]
    memory.insert("account_health", known)
    embedded_store.insert("account_health", known)

    for day in (None, FIRST + 1, FIRST + 2, FIRST + 4):
        for wanted in (
            SignalFilter(open_only=True, order_by="work", until_day=day, limit=5),
            SignalFilter(open_only=True, owners=("kim",), until_day=day),
            SignalFilter(severities=("CRITICAL",), until_day=day, limit=3),
        ):
            assert embedded_store.signals(wanted) == memory.signals(wanted)
        names = [f"a{n}" for n in range(5)]
        assert embedded_store.open_signals(names, day) == memory.open_signals(names, day)


def test_of_the_days_of_an_account_whose_clients_repeat_themselves_across_midnight(
    embedded_store: ClickHouseStore,
) -> None:
    dice = Random(1)
    rows = [
        event(
            offset,
            f"e{dice.randrange(150)}",
            user=dice.choice(("", "u_a", "u_b", "u_c")),
            occurred_at=FIRST * DAY_MS + dice.randrange(4 * DAY_MS),
            source=dice.choice(("web", "web", "server")),
            environment=dice.choice(("production", "production", "staging")),
            actor=dice.choice(("PERSON", "PERSON", "AGENT")),
            internal=dice.random() < 0.1,
            topic=dice.choice(("usage-events", "usage-events", "usage-unattributed")),
        )
        for offset in range(300)
    ]
    memory = stored(dice, embedded_store, "events", rows)

    whole = embedded_store.account_days("acme", FIRST, FIRST + 3)

    assert len(whole.rows) == 4
    assert whole == memory.account_days("acme", FIRST, FIRST + 3)


def repeated(dice: Random, number: int) -> list[Row]:
    """Return events of months, a tenth of them sent again within the day, and one of a clock that is years ahead."""
    rows: list[Row] = []
    for n in range(number):
        at = (FIRST + 3_000 if n == 7 else FIRST + dice.randrange(DAYS) * dice.randrange(4)) * DAY_MS + dice.randrange(
            DAY_MS
        )
        given: dict[str, Any] = {
            "name": "Rare" if n % 50 == 0 else f"Feature {n % 3}",
            "user": dice.choice(("", "u_a", "u_b", "u_c")),
            "actor": dice.choice(("PERSON", "PERSON", "AGENT")),
            "internal": dice.random() < 0.1,
            "environment": dice.choice(("production", "production", "staging")),
        }
        for later in (0, 1) if dice.random() < 0.1 else (0,):
            rows.append(
                event(len(rows), f"e{n}", occurred_at=min(at + later, at // DAY_MS * DAY_MS + DAY_MS - 1), **given)
            )
    return rows


def test_of_an_account_with_more_events_than_are_counted(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = Random(2)
    memory = stored(dice, embedded_store, "events", repeated(dice, 300))
    monkeypatch.setattr(events, "MOST_COUNTED", 10)

    for until in (None, FIRST + 60):
        told = embedded_store.account_days("acme", FIRST, until)
        assert not told.exact
        assert told.rows == memory.account_days("acme", FIRST, until).rows
    assert embedded_store.account_days("acme", FIRST + 2_999).exact  # one event is none too many
    people = PeopleFilter("acme", FIRST + 60)
    assert embedded_store.account_people(people) == memory.account_people(people)


@pytest.mark.parametrize("names", [(), ("Rare",), ("Feature 1", "Rare"), ("Never",)], ids=" ".join)
@pytest.mark.parametrize("before", [None, (FIRST + 50) * DAY_MS])
def test_of_pages_of_events_of_such_an_account(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], before: int | None
) -> None:
    dice = Random(3)
    memory = stored(dice, embedded_store, "events", repeated(dice, 300))
    monkeypatch.setattr(events, "MOST_COUNTED", 10)
    monkeypatch.setattr(events, "_SPARE", 1)
    wanted = EventFilter("acme", names, before, limit=19)

    whole = memory.events(replace(wanted, limit=1_000)).rows
    found = []
    while page := embedded_store.events(wanted):
        found += page.rows
        if len(page.rows) < wanted.limit:
            break
        wanted = replace(wanted, after=ordering.place(wanted.order, page.rows[-1]))

    assert found == whole
