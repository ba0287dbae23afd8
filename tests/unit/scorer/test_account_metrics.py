"""What a lane tells: accounts that are refused, set apart and forgotten."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.scorer.lanes import usage_lanes
from services.scorer.metrics import ScorerMetrics
from services.scorer.usage_processor import UsageProcessor
from services.shared.engine.processor import SourceRecord
from tests.support.scorer import MODEL, PLAN, at, encode, event


def test_accounts_over_the_cap_and_set_apart_are_counted_and_leave_with_their_lane() -> None:
    registry = CollectorRegistry()
    metrics = ScorerMetrics(registry)
    processor = usage_lanes(4, PLAN, MODEL, 1000, metrics, most_accounts=2).processor(3)
    assert isinstance(processor, UsageProcessor)
    assert registry.get_sample_value("tidemark_scorer_events_over_cap_total") == 0

    for offset, account in enumerate(("acme", "globex", "initech", "initech")):
        value = encode("usage_event", event(f"e{offset}", account, when=at(0, 1)))
        record = SourceRecord("usage-events", 3, offset, account.encode(), value)
        for _ in processor.fold(offset, processor.decode(record), 0) or ():
            pass
    processor.quarantine("acme", "its day cannot be closed")
    list(processor.take_changes())

    def shown(name: str) -> float | None:
        return registry.get_sample_value(f"tidemark_scorer_{name}", {"partition": "3"})

    assert registry.get_sample_value("tidemark_scorer_events_over_cap_total") == 2
    assert (shown("accounts"), shown("accounts_quarantined")) == (2, 1)

    metrics.forget(3)
    assert (shown("accounts"), shown("accounts_quarantined")) == (None, None)
