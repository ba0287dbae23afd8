"""The doctor says what ingest puts off, and what was deleted before a service had read it, though all of them are ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.cli.examining import losses
from services.shared.engine.metrics import EngineMetrics
from services.shared.http.server import listener, ops_routes
from services.warehouse.metrics import WarehouseMetrics

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve the page of a service that is ready; return its address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(registry: CollectorRegistry | None = None, slow: tuple[str, ...] = ()) -> str:
        app = Starlette(routes=ops_routes(registry or CollectorRegistry(), lambda: None, slow=lambda: list(slow)))
        socket = listener("127.0.0.1", 0)
        socket.listen()  # who asks before the server has begun waits for it
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{socket.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


def test_an_ingest_that_takes_everything_is_well(serve: Serve) -> None:
    assert losses.put_off(serve()) == "ingest puts nothing off"


def test_what_a_ready_ingest_puts_off_is_named(serve: Serve) -> None:
    slow = ("topic usage-details has max.message.bytes=2000, its record says 2097152", "usage-events/3")

    with pytest.raises(
        OSError, match="put off .429.: topic usage-details has max.message.bytes=2000.*; usage-events/3"
    ):
        losses.put_off(serve(slow=slow))


def test_services_that_have_read_everything_are_well(serve: Serve) -> None:
    warehouse, scorer = CollectorRegistry(), CollectorRegistry()
    WarehouseMetrics(warehouse)
    EngineMetrics(scorer).gaps.labels("usage-events", "0")

    said = losses.lost({"warehouse": serve(warehouse), "scorer": serve(scorer)})

    assert said == "nothing was deleted before it was read, since these processes started"


def test_records_that_were_deleted_before_they_were_read_are_counted(serve: Serve) -> None:
    warehouse, scorer = CollectorRegistry(), CollectorRegistry()
    WarehouseMetrics(warehouse).expired.labels("usage-events").inc(1204)
    EngineMetrics(scorer).gaps.labels("usage-events", "2").inc()

    with pytest.raises(OSError, match="before they were read") as found:
        losses.lost({"warehouse": serve(warehouse), "scorer": serve(scorer)})

    assert "1,204 records of usage-events will never be in the warehouse" in str(found.value)
    assert "scorer went over a gap in usage-events/2" in str(found.value)


def test_rows_that_the_warehouse_has_lost_are_named(serve: Serve) -> None:
    registry = CollectorRegistry()
    WarehouseMetrics(registry).lost(["events", "events", "signals"])

    with pytest.raises(OSError, match="has lost the rows of 2 broken parts of its table events, 1 broken part of"):
        losses.lost({"warehouse": serve(registry)})


def test_lanes_whose_topics_are_as_they_were_are_well(serve: Serve) -> None:
    registry = CollectorRegistry()
    metrics = EngineMetrics(registry)
    metrics.topic_changed.labels("scorer-usage-events-state", "recreated").set(0)
    metrics.torn.labels("usage-events", "0")

    assert losses.state({"scorer": serve(registry)}) == "topics are as lanes opened them"


def test_topics_that_have_changed_under_their_lanes_are_named_before_anybody_restarts_a_worker(serve: Serve) -> None:
    """Nothing else shows it: the topics fit their definitions again, and the lanes go on with what is in memory."""
    registry = CollectorRegistry()
    changed = EngineMetrics(registry).topic_changed
    changed.labels("scorer-usage-events-state", "policy").set(0)
    changed.labels("scorer-usage-events-state", "cut").set(1)

    with pytest.raises(OSError, match=r"under their lanes: scorer-usage-events-state \(cut\); see docs/runbooks"):
        losses.state({"scorer": serve(registry)})


def test_a_transaction_that_was_not_committed_as_one_is_named(serve: Serve) -> None:
    registry = CollectorRegistry()
    EngineMetrics(registry).torn.labels("account-health", "2").inc()

    with pytest.raises(OSError, match=r"as one: of account-health/2 before alerter opened it.*TransactionTorn.md"):
        losses.state({"alerter": serve(registry)})
