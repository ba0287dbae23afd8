"""What a poll of Faust's consumer returns while a rebalance goes on beside it."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from services.shared.engine.faust_seam import consumer as seam
from services.shared.engine.faust_seam.consumer import ConsumerThread

GAINED = TP("events", 0)


async def test_a_poll_that_has_waited_through_a_rebalance_takes_nothing_of_what_was_gained(monkeypatch: Any) -> None:
    """Faust drops it, and seeks to a committed offset that a partition without one does not have."""
    taken: list[set[TP]] = []
    thread = ConsumerThread.__new__(ConsumerThread)
    thread.consumer = SimpleNamespace(flow_active=True)  # type: ignore[assignment]
    active: set[TP] = set()

    async def rebalanced() -> None:
        thread.consumer.flow_active = False
        subscriptions.reassignment_in_progress = False
        active.add(GAINED)  # Faust changes the set that it has handed over

    async def fetched_records(wanted: set[TP], **_: Any) -> dict[TP, Any]:
        taken.append(wanted)
        return {GAINED: [1]}

    subscriptions = SimpleNamespace(
        reassignment_in_progress=True, wait_for_assignment=rebalanced, fetch_context=nullcontext
    )
    fetcher = SimpleNamespace(_subscriptions=subscriptions, _closed=False, fetched_records=fetched_records)
    monkeypatch.setattr(seam, "take_as_read", lambda _: None)
    monkeypatch.setattr(seam, "positions", lambda _, wanted: dict.fromkeys(wanted, len(taken)))

    found = await thread._fetch_records(SimpleNamespace(_fetcher=fetcher, _closed=False), active, timeout=1)

    assert found == {}
    assert not taken
