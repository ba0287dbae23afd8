"""The last events that were stored: a few of them, whatever comes in, and nobody who was erased."""

from collections import Counter

from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from services.warehouse.http.app import query_app
from services.warehouse.http.feed import ARRIVED, Feed
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.contract.warehouse.stored import T0, event


def served() -> tuple[Feed, TestClient]:
    store = MemoryStore()
    feed = Feed(lambda: store)
    app = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()), feed=feed)
    return feed, TestClient(app)


def test_the_last_events_are_told_latest_received_first() -> None:
    feed, client = served()
    times = [5, 9, 7]
    feed.publish({"events": [event(n, f"e{n}", name=str(at), received_at=T0 + at) for n, at in enumerate(times)]})

    told = client.get("/v1/arrived?limit=2").json()

    assert [each["name"] for each in told["events"]] == ["9", "7"]
    assert (told["total"], told["stored"], told["next"]) == (3, 3, None)


def test_only_so_many_are_held_and_all_are_counted() -> None:
    feed, client = served()
    for first in (0, 5_000):
        feed.publish({"events": [event(n, f"e{n}") for n in range(first, first + 300)]})

    told = client.get(f"/v1/arrived?limit={ARRIVED}").json()

    assert (len(told["events"]), told["total"], told["stored"]) == (ARRIVED, ARRIVED, 600)


def test_those_that_kafka_took_last_are_held_whatever_their_partition_or_batch() -> None:
    feed, client = served()
    late, early = (
        [event(n, f"{name}{n}", name=name) for n in (base, base + 1)] for name, base in (("B", 900), ("A", 0))
    )
    many = [event(n, f"e{n}", partition=1, name="C") for n in range(100, 100 + ARRIVED - 1)]
    feed.publish({"events": [*late, *many, *early]})
    feed.publish({"events": [event(50, "e50", partition=2, name="D")]})

    told = client.get(f"/v1/arrived?limit={ARRIVED}").json()["events"]

    assert Counter(each["name"] for each in told) == {"B": 2, "C": ARRIVED - 2}


def test_nobody_is_told_who_was_erased_since_or_in_the_same_batch() -> None:
    feed, client = served()
    feed.publish({"events": [event(1, "e1")]})
    feed.publish({"events": [event(2, "e2", name="With")]}, erased=True)
    assert client.get("/v1/arrived").json()["events"] == []

    feed.publish({"events": [event(3, "e3", name="After")]})

    told = client.get("/v1/arrived").json()
    assert ([each["name"] for each in told["events"]], told["stored"]) == (["After"], 3)
