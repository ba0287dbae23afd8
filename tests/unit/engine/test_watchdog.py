"""What the watchdog of a worker does between its looks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker import watchdog as watching
from services.shared.engine.worker.watchdog import Watchdog
from tests.support.waiting import until


async def test_a_process_that_was_away_claims_no_lane_before_the_group_can_tell_whose_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frozen for a day, all of its lanes have written nothing for a day; to check one that is another's would end that one's process."""
    told: list[str] = []
    times = iter([0.0, 0.0, 1.0, 1.0, 90_000.0, 90_000.0, 90_001.0])
    lanes: Any = SimpleNamespace(keep=lambda: told.append("keep"))
    ends: Any = SimpleNamespace(doubt=lambda: told.append("doubt"), close=lambda: asyncio.sleep(0))
    metrics: Any = SimpleNamespace(loop_lag_seconds=SimpleNamespace(set=lambda _: None))
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: next(times, 90_001.0)))
    monkeypatch.setattr(watching, "_EVERY_S", 0.001)
    monkeypatch.setattr(Watchdog, "_ask", lambda _: asyncio.sleep(60))
    monkeypatch.setattr(Watchdog, "look", lambda _: told.append("look"))
    app: Any = None

    running = asyncio.create_task(
        Watchdog(app, lanes, metrics, EngineSettings(), ends, lambda lane: app, told.append).run()  # type: ignore[arg-type]
    )
    await until(lambda: told.count("look") >= 3)
    running.cancel()
    await asyncio.wait([running])

    assert told[:6] == ["keep", "look", "doubt", "look", "keep", "look"]
