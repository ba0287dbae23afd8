"""What a poll of Faust's consumer returns while a rebalance goes on beside it, or a batch cannot be read."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException
from faust.types import TP

from services.shared.engine.faust_seam import consumer as seam
from services.shared.engine.faust_seam.consumer import ConsumerThread

GAINED = TP("events", 0)


async def test_a_poll_that_has_waited_through_a_rebalance_takes_nothing_of_what_was_gained(monkeypatch: Any) -> None:
    """Faust drops it, and seeks to a committed offset that a partition without one does not have."""
    taken: list[set[TP]] = []
    thread = ConsumerThread.__new__(ConsumerThread)
    thread.consumer = SimpleNamespace(flow_active=True)  # type: ignore[assignment]
    thread._damaged = {}
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
    monkeypatch.setattr(seam, "take_as_read", lambda *_: None)
    monkeypatch.setattr(seam, "positions", lambda _, wanted: dict.fromkeys(wanted, len(taken)))

    found = await thread._fetch_records(SimpleNamespace(_fetcher=fetcher, _closed=False), active, timeout=1)

    assert found == {}
    assert not taken


async def test_what_was_fetched_beside_a_damaged_batch_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The position of the other partition has moved, but nobody was given its records."""
    other, bad = TopicPartition("events", 0), TopicPartition("events", 1)
    at = {other: 5, bad: 7}
    tries: list[set[TP]] = []

    async def fetched_records(wanted: set[TP], **_: Any) -> dict[TP, Any]:
        tries.append(wanted)
        at[other] += 1
        if bad in wanted:
            raise CorruptRecordException(f"Invalid CRC - {bad}")
        return {TP(*other): ["record"]}

    assignment = SimpleNamespace(
        tps=at.keys(), state_value=lambda tp: SimpleNamespace(has_valid_position=True, position=at[tp])
    )
    fetcher = SimpleNamespace(
        _subscriptions=SimpleNamespace(
            reassignment_in_progress=False,
            fetch_context=nullcontext,
            subscription=SimpleNamespace(assignment=assignment),
        ),
        _closed=False,
        _records={other: object(), bad: SimpleNamespace(_assignment=SimpleNamespace(active=True))},
        fetched_records=fetched_records,
        seek_to=at.__setitem__,
    )
    consumer: Any = SimpleNamespace(_fetcher=fetcher, _closed=False)
    thread = ConsumerThread.__new__(ConsumerThread)
    thread.consumer = SimpleNamespace(flow_active=True)  # type: ignore[assignment]
    thread._damaged = {}
    monkeypatch.setattr(thread, "_ensure_consumer", lambda: consumer)
    monkeypatch.setattr(seam, "take_as_read", lambda *_: None)

    found = await thread._fetch_records(consumer, {TP(*other), TP(*bad)}, timeout=1)

    assert {tp: (chunk.start, chunk.end, list(chunk)) for tp, chunk in found.items()} == {other: (5, 6, ["record"])}
    assert tries == [{other, bad}, {other}]
    assert thread.damaged(TP(*bad)) is not None
    del fetcher._records[bad]  # as a seek does
    assert thread.damaged(TP(*bad)) is None
