"""What a lane of usage-events has changed is known before it is encoded: it bounds transactions in bytes."""

from __future__ import annotations

from typing import Any

from services.scorer.lanes import usage_lanes
from services.scorer.record_sizes import LARGE, RecordSizes
from services.scorer.usage_processor import STATE, UsageProcessor
from services.shared.engine.processor import SourceRecord, Weighs
from tests.support.scorer import MODEL, PLAN, encode, event


def processor() -> UsageProcessor:
    made = usage_lanes(1, PLAN, MODEL).processor(0)
    assert isinstance(made, UsageProcessor)
    return made


def fold(on: UsageProcessor, offset: int, **changes: Any) -> None:
    value = event(f"e{offset}", **changes)
    record = SourceRecord("usage-events", 0, offset, value["account"].encode(), encode("usage_event", value))
    steps = on.fold(offset, on.decode(record), 0)
    for _ in steps or ():
        pass


def changed(on: UsageProcessor) -> int:
    return sum(len(c.value or b"") for c in on.take_changes() if c.store == STATE and c.key[:2] in (b"h:", b"c:"))


def test_large_records_count_by_account_and_the_rest_at_its_mean() -> None:
    sizes = RecordSizes()
    sizes.note("a", 100)
    sizes.note("b", 300)
    sizes.note("large", 50 * LARGE)

    assert sizes.of({"a"}) == 200
    assert sizes.of({"a", "b", "large"}) == 400 + 50 * LARGE
    sizes.note("large", 200)
    assert sizes.of({"large"}) == 200


def test_a_lane_tells_about_what_its_changes_will_take() -> None:
    lane = processor()
    offset = 0
    for _ in range(2):
        for account in range(40):
            for user in range(1500 if account == 0 else 1):
                fold(lane, offset, account=f"account-{account}", user=f"user-{user}")
                offset += 1
        told, taken = lane.changed_bytes, changed(lane)

    assert isinstance(lane, Weighs)
    assert taken > LARGE
    assert taken / 2 < told < taken * 2
    assert lane.changed_bytes == 0


def test_a_restored_lane_knows_its_large_accounts() -> None:
    lane = processor()
    for user in range(1500):
        fold(lane, user, account="large", user=f"user-{user}")
    other = processor()
    for store, key, value in lane.take_changes():
        other.restore(store, key, value or b"")
    for _ in other.opened():
        pass

    other.state.hot.add("large")

    assert other.changed_bytes > LARGE
