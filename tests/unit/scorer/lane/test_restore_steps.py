"""The end of a restore lets the other lanes of the worker take a turn."""

from __future__ import annotations

import pytest

from services.scorer.domain.lane import usage_state
from services.scorer.lanes import usage_lanes
from services.shared.engine.processor import Processor
from tests.support.scorer import MODEL, PLAN, Log


def restored_apart_from_its_end(log: Log) -> Processor:
    processor = usage_lanes(1, PLAN, MODEL).processor(0)
    for store, topic in (("state", "scorer-usage-events-state"), ("ids", "scorer-usage-events-ids")):
        for key, value in sorted(log.memory.latest(topic).items()):
            if not key.startswith(b"\0"):
                processor.restore(store, key, value)
    return processor


def test_the_end_of_a_restore_comes_in_steps_of_a_bounded_number_of_accounts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_state, "RESTORED_AT_ONCE", 10)
    log = Log(1)
    for n in range(95):
        log.event(f"e{n}", account=f"account-{n}")
    log.runner().run()
    processor = restored_apart_from_its_end(log)

    steps = list(processor.opened())

    assert len(steps) >= 9
    assert set(steps) == {None}
    assert len(processor.state.accounts) == 95  # type: ignore[attr-defined]
