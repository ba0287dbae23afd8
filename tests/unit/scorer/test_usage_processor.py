"""The processor's edge: what is refused before anything changes, and the records that come out."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from services.scorer.domain.lane.clock import SWEEP_MS
from services.scorer.lanes import usage_lanes
from services.scorer.metrics import ScorerMetrics
from services.scorer.records import dead_letter
from services.shared.dead_letters import ORIGINAL_BYTES
from services.shared.engine.errors import Unanswered
from services.shared.engine.memory.log import MemoryLog
from services.shared.engine.memory.runner import MemoryRunner
from services.shared.engine.processor import SourceRecord
from services.shared.errors import Poison
from tests.support.scorer import MODEL, PLAN, Log, at, encode, event, tick


def record(value: bytes | None, key: bytes | None = b"acme") -> SourceRecord:
    return SourceRecord("usage-events", 0, 7, key, value)


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (None, b"acme", "no_value"),
        (b"junk", b"acme", "undecodable"),
        (encode("usage_event", event("e1"))[:-1], b"acme", "undecodable"),
        (encode("usage_event", event("e1")), b"other", "wrong_key"),
        (encode("usage_event", event("e1")), None, "wrong_key"),
        (encode("usage_event", event("e1", account="")), b"", "wrong_key"),
        (encode("usage_event", event("e1", occurred_at=-1)), b"acme", "wrong_time"),
        (encode("usage_event", event("e1", received_at=0)), b"acme", "wrong_time"),
        (codec.encoder("fleet_partial")({"day": 1, "partition": 0, "partitions": 1, "accounts": 0, "weight_sum": 0, "weighted_ratio_sum": 0, "histogram": []}), b"acme", "wrong_record"),
    ],
)  # fmt: skip
def test_what_can_never_be_applied_is_poison(value: bytes | None, key: bytes | None, reason: str) -> None:
    with pytest.raises(Poison) as error:
        usage_lanes(1, PLAN, MODEL).processor(0).decode(record(value, key))

    assert error.value.reason == reason
    letter = codec.decode(dead_letter(record(value, key), error.value).value or b"")[1]
    assert (letter["by"], letter["reason"], letter["origin"]) == ("scorer", reason, "usage-events/0/7")
    assert letter["original"] == (value or b"")


def test_poison_between_good_records_stops_nothing() -> None:
    log = Log(1)
    log.event("e1")
    log.memory.append("usage-events", b"acme", encode("usage_event", event("e0"))[:-1])
    log.memory.append("usage-events", None, encode("usage_event", event("e2")), 0)
    log.event("e3")
    runner = log.runner()
    runner.run()

    assert runner.processor("usage-events").state.ledger.applied == 2  # type: ignore[attr-defined]
    letters = [codec.decode(value)[1] for value in log.memory.values("dead-letters")]
    assert [letter["reason"] for letter in letters] == ["undecodable", "wrong_key"]


def test_a_dead_letter_keeps_the_original_and_who_sent_it() -> None:
    log = Log(1)
    log.control("tick", tick(at(0, 3)))
    log.event("e1", name="Ticket Opened", properties={"note": "n" * (ORIGINAL_BYTES + 10)}, received_at=at(0, 3))
    log.runner().run()
    letter = codec.decode(log.memory.values("dead-letters", b"acme")[0])[1]
    original = log.memory.values("usage-events", b"acme")[0]

    assert (letter["reason"], letter["event_id"], letter["source"], letter["rejected_at"]) == (
        "bad_case",
        "e1",
        "app",
        at(0, 3),
    )
    assert letter["original"] == original[:ORIGINAL_BYTES]
    assert (letter["original_size"], letter["original_sha256"]) == (len(original), sha256(original).hexdigest())


def test_snapshots_go_to_both_health_topics_under_their_account() -> None:
    log = Log(1)
    log.event("e1")
    log.control("tick", tick(at(0, 1)))
    log.runner().run()
    snapshot = log.memory.values("account-health", b"acme")

    assert snapshot == log.memory.values("account-health-latest", b"acme")
    assert codec.decode(snapshot[0])[1]["trigger_received_at"] == at()


def test_what_someone_waits_for_is_urgent() -> None:
    processor = usage_lanes(1, PLAN, MODEL).processor(0)

    def fold(kind: str, value: dict[str, Any], key: bytes | None = None) -> bool:
        steps = processor.fold(0, processor.decode(record(encode(kind, value), key)), 0)
        for _ in steps or ():
            pass
        return processor.urgent

    assert not fold("tick", tick(at()))
    assert not fold("usage_event", event("e1", when=at(0, 1)), b"acme")
    assert fold("tick", tick(at(0, 1) + 1000))
    processor.take_outputs()
    assert not processor.urgent
    assert not fold("tick", tick(at(1)))
    assert fold("tick", tick(at(1) + SWEEP_MS))


def test_metrics_follow_the_lanes_counts_and_do_not_count_a_restore_again() -> None:
    registry = CollectorRegistry()
    log = Log(1)
    for number in range(5):
        log.event(f"e{number % 4}")
    log.event("old", when=at(-300), received_at=at())
    log.control("tick", tick(at(0, 1)))
    spec = usage_lanes(1, PLAN, MODEL, metrics=ScorerMetrics(registry))
    runner = MemoryRunner(log.memory, [spec])
    runner.run()

    def count(outcome: str) -> float | None:
        return registry.get_sample_value("tidemark_scorer_events_total", {"outcome": outcome})

    assert (count("applied"), count("duplicate"), count("too_late")) == (4, 1, 1)
    assert registry.get_sample_value("tidemark_scorer_rejected_total", {"reason": "too_late"}) == 1
    runner.crash()
    log.control("tick", tick(at(0, 2)))
    runner.run()
    assert count("applied") == 4
    assert registry.get_sample_value("tidemark_scorer_log_time_seconds", {"partition": "0"}) == at(0, 2) / 1000
    assert registry.get_sample_value("tidemark_scorer_accounts", {"partition": "0"}) == 1


def test_an_empty_log_is_fine() -> None:
    MemoryRunner(MemoryLog(1), [usage_lanes(1, PLAN, MODEL)]).run()


def test_a_step_that_is_too_long_names_the_ingests_whose_clocks_are_in_question() -> None:
    processor = usage_lanes(1, PLAN, MODEL).processor(0)
    encode_v2 = codec.encoder("usage_event", 2)
    first, later = (
        encode_v2(event(name, when=at(day), accepted_by=host))
        for name, day, host in (("e1", 0, "ingest-a-0"), ("e2", 30, "ingest-b-0"))
    )
    for _ in processor.fold(0, processor.decode(SourceRecord("usage-events", 0, 0, b"acme", first)), 0) or ():
        pass

    with pytest.raises(
        Unanswered, match=r"by 30.0 days, by the clock of ingest-b-0; the last to move it was ingest-a-0;"
    ):
        processor.fold(1, processor.decode(SourceRecord("usage-events", 0, 1, b"acme", later)), 0)


@pytest.mark.parametrize("written", [1, 2])
def test_a_lane_writes_its_state_in_the_format_in_force(written: int) -> None:
    processor = usage_lanes(1, PLAN, MODEL, written=written).processor(0)
    value = codec.encoder("usage_event")(event("e1", when=at()))
    for _ in processor.fold(0, processor.decode(SourceRecord("usage-events", 0, 0, b"acme", value)), 0) or ():
        pass

    written_as = {
        change.key: (change.value or b"")[0] for change in processor.take_changes() if change.store == "state"
    }

    assert written_as == {
        b"c:acme": written,
        b"h:acme": written,
        b"l:clock": written,
        b"l:fleet": written,
        b"l:ledger": 1,
    }
