"""Erasures on their way from the log into the store: none is forgotten by a crash, and none is passed by late rows."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from services.shared.errors import Retryable
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.domain.erasing import Erasure
from services.warehouse.domain.filters import EventFilter
from services.warehouse.domain.rows import Place
from services.warehouse.erasing import Erasing
from services.warehouse.filling.batch import Batch, build
from services.warehouse.filling.sink import KafkaSink
from services.warehouse.http.feed import Feed
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.settings import WarehouseSettings
from tests.contract.warehouse.stored import example
from tests.support.warehouse_events import Message

JO, KIM, SOMEBODY = "u_jo__________________", "u_kim_________________", "u_8f2k1mXw0qLr5tYvZ3Nb"
ORDERED = 1_000


def event(offset: int, at: int, user: str = JO, **changes: object) -> Message:
    value = example("usage_event/examples/track.json", event_id=f"e{offset}", user=user, **changes)
    return Message(offset, at, codec.encoder("usage_event")(value))


def details(offset: int, at: int, user: str = JO) -> Message:
    value = example("event_details/examples/track.json", event_id=f"e{offset}", user=user, user_id=f"id of {user}")
    return Message(offset, at, codec.encoder("event_details")(value))


def health(offset: int, at: int, account: str) -> Message:
    value = example("account_health/examples/red.json", account=account, lowest_user=JO)
    return Message(offset, at, codec.encoder("account_health")(value))


def order(offset: int, at: int = ORDERED, **whom: str) -> Message:
    value = {"user": "", "stands_for": "", "account": "", "at": at, "by": "dpo", **whom}
    return Message(offset, at, codec.encoder("erasure")(value))


def person(offset: int) -> Message:
    return order(offset, user=JO, stands_for=SOMEBODY)


def erasing(store: MemoryStore) -> Erasing:
    made = Erasing(store, WarehouseMetrics(CollectorRegistry()))
    made.learn()
    return made


def take(store: MemoryStore, erasing: Erasing, batch: Batch) -> None:
    """Store a batch as the sink does."""
    erasing.note(batch.erasures)
    for table, rows in batch.rows.items():
        store.insert(table, erasing.stored(table, rows))


def users(store: MemoryStore) -> set[str]:
    return {found["user"] for found in store.events(EventFilter("acme")).rows}


def test_an_order_makes_no_row_and_is_no_control_record() -> None:
    batch = build({("usage-details", 2): [details(4, 900), person(5), details(6, 1_100)]})

    assert batch.erasures == [Erasure(Place("usage-details", 2, 5, ORDERED), JO, SOMEBODY, "", ORDERED, "dpo")]
    assert len(batch.rows["event_details"]) == 2
    assert batch.skipped == {}
    assert build({("usage-events", 0): [person(1)]}).skipped == {("usage-events", "control"): 1}


def test_what_is_read_with_the_order_is_erased_if_it_came_before_it() -> None:
    store = MemoryStore()
    one = erasing(store)

    take(
        store, one, build({("usage-details", 0): [details(1, 900), details(2, 900, KIM), person(3), details(4, 1_100)]})
    )
    one.apply()

    assert store.people([JO, KIM]) == {JO: f"id of {JO}", KIM: f"id of {KIM}"}
    assert [found["event_id"] for found in store.details(["e1", "e2", "e4"])] == ["e2", "e4"]


def test_rows_of_before_that_are_read_after_the_erasure_are_withheld() -> None:
    """Each partition is read at its own pace, and a new database reads all of them anew."""
    store = MemoryStore()
    one = erasing(store)
    take(store, one, build({("usage-details", 0): [person(3)]}))
    one.apply()

    late = build(
        {
            ("usage-details", 1): [details(7, 999), details(8, 1_001)],
            ("usage-events", 0): [event(1, 999), event(2, 999, KIM), event(3, 1_001)],
        }
    )
    take(store, one, late)

    assert [found["event_id"] for found in store.details(["e7", "e8"])] == ["e8"]
    assert users(store) == {SOMEBODY, KIM, JO}
    assert [found["user"] for found in store.events(EventFilter("acme")).rows if found["event_id"] == "e1"] == [
        SOMEBODY
    ]


def test_texts_of_before_that_are_read_after_the_erasure_name_nobody() -> None:
    store = MemoryStore()
    one = erasing(store)
    take(store, one, build({("usage-details", 0): [person(3)]}))
    one.apply()

    take(store, one, build({("account-health", 0): [health(1, 999, "acme"), health(2, 1_001, "globex")]}))

    found = {account: store.latest(account) for account in ("acme", "globex")}
    assert {account: each and each["lowest_user"] for account, each in found.items()} == {
        "acme": SOMEBODY,
        "globex": JO,
    }


def test_late_rows_of_an_erased_account_are_not_stored() -> None:
    store = MemoryStore()
    one = erasing(store)
    take(store, one, build({("usage-details", 0): [order(3, account="acme")]}))
    one.apply()

    take(store, one, build({("usage-events", 0): [event(1, 999), event(2, 1_001), event(3, 999, account="globex")]}))

    assert [found["event_id"] for found in store.events(EventFilter("acme")).rows] == ["e2"]
    assert len(store.events(EventFilter("globex")).rows) == 1


def test_an_order_of_nobody_erases_nothing() -> None:
    """Events without an account are stored under an empty one, and are not what it asks for."""
    store = MemoryStore()
    one = erasing(store)
    nobodys = event(1, 900, account="")

    take(store, one, build({("usage-events", 0): [nobodys], ("usage-details", 0): [order(2)]}))

    assert not one.apply()
    assert store.erasures() == []
    assert [found["event_id"] for found in store.events(EventFilter("")).rows] == ["e1"]


def test_an_order_that_was_noted_before_a_crash_is_carried_out_by_the_next_process() -> None:
    store = MemoryStore()
    before = erasing(store)
    take(store, before, build({("usage-details", 0): [details(1, 900)]}))
    take(store, before, build({("usage-details", 0): [person(3)]}))

    after = erasing(store)
    after.apply()

    assert store.people([JO]) == {}
    assert [(each.done, each.removed) for each in store.erasures()] == [(True, {"event_details": 1, "people": 1})]


def test_an_order_that_is_read_again_changes_nothing_and_keeps_its_report() -> None:
    store = MemoryStore()
    one = erasing(store)
    take(store, one, build({("usage-details", 0): [details(1, 900), person(3)]}))
    one.apply()
    before = store.erasures()

    for each in (one, erasing(store)):
        take(store, each, build({("usage-details", 0): [details(1, 900), person(3)]}))
        each.apply()

    assert store.erasures() == before
    assert store.people([JO]) == {}


def test_an_erasure_that_failed_half_way_is_repeated_whole() -> None:
    class Fails(MemoryStore):
        left = 2

        def erase(self, order: Erasure) -> dict[str, int]:
            done = super().erase(order)
            self.left -= 1
            if self.left:
                raise Retryable("the answer was lost")
            return done

    store = Fails()
    one = erasing(store)
    take(store, one, build({("usage-details", 0): [details(1, 900), person(3)]}))

    with pytest.raises(Retryable):
        one.apply()
    assert not store.erasures()[0].done
    one.apply()

    assert store.erasures()[0].done
    assert store.people([JO]) == {}


def test_positions_are_noted_before_rows_go() -> None:
    store = MemoryStore()
    one = erasing(store)
    take(store, one, build({("usage-details", 0): [details(41, 900)]}))
    take(store, one, build({("usage-details", 0): [person(42)]}))

    one.apply()

    assert store.positions() == {("usage-details", 0): 42}


def feeding(store: MemoryStore) -> tuple[KafkaSink, Feed]:
    feed = Feed(lambda: store)
    metrics = WarehouseMetrics(CollectorRegistry())
    sink = KafkaSink(KafkaSettings(), WarehouseSettings(), store, metrics, feed.publish)
    sink._erasing.learn()
    return sink, feed


async def test_after_an_erasure_listeners_reload_and_nothing_of_before_is_held() -> None:
    sink, feed = feeding(MemoryStore())
    await sink._write(build({("account-health", 0): [health(1, 900, "acme")]}))
    before = feed.cursor(0), feed.cursor(feed.last)
    held = feed.last

    await sink._write(build({("usage-details", 0): [person(5)], ("account-health", 0): [health(2, 1_100, "globex")]}))

    assert [feed.position(cursor) for cursor in before] == [None, None]
    assert not feed.reaches(held)
    assert [news.account for news in feed.after(0, "", 50)] == ["globex"]


async def test_what_is_withheld_is_not_told_either() -> None:
    sink, feed = feeding(MemoryStore())
    await sink._write(build({("usage-details", 0): [order(5, account="acme")]}))

    await sink._write(build({("account-health", 0): [health(1, 900, "acme"), health(2, 1_100, "globex")]}))

    assert [news.account for news in feed.after(0, "", 50)] == ["globex"]


async def test_orders_that_were_carried_out_are_forgotten_at_the_start_and_every_hour() -> None:
    class Counts(MemoryStore):
        times = 0

        def forget_orders(self, done_for_s: int = 0) -> None:
            self.times += 1

    store = Counts()
    sink, _ = feeding(store)

    await sink._note(everything=True)
    await sink._note(everything=True)
    once = store.times
    sink._forgot_at -= 3_600
    await sink._note(everything=True)

    assert (once, store.times) == (1, 2)
