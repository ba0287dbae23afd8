"""Calls of the store do not wait for those who ask it."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from prometheus_client import CollectorRegistry

from services.warehouse.filling.store_calls import StoreCalls
from services.warehouse.metrics import WarehouseMetrics
from tests.support.waiting import until


async def test_the_store_is_called_while_slow_questions_have_all_threads_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # the loop makes its threads by that
    over = threading.Event()
    begun: list[None] = []
    calls = StoreCalls(WarehouseMetrics(CollectorRegistry()), asyncio.Event())

    def ask() -> None:
        begun.append(None)
        over.wait(30)

    questions = [asyncio.create_task(asyncio.to_thread(ask)) for _ in range(6)]
    try:
        await until(lambda: len(begun) == 5)

        assert await asyncio.wait_for(calls(lambda: "stored"), 5) == "stored"
    finally:
        over.set()
        await asyncio.gather(*questions)


async def test_a_store_that_hangs_is_told_before_its_call_fails() -> None:
    now = [0.0]
    answered = threading.Event()
    begun = threading.Event()
    calls = StoreCalls(WarehouseMetrics(CollectorRegistry()), asyncio.Event(), clock=lambda: now[0])

    def hang() -> None:
        begun.set()
        answered.wait(30)

    call = asyncio.create_task(calls(hang))
    said = []
    try:
        await until(begun.is_set)
        for now[0] in (60.0, 61.0):
            said += [calls.waits_for]
    finally:
        answered.set()
        await call

    assert [*said, calls.waits_for] == [None, "the store has not answered for 61 s", None]
