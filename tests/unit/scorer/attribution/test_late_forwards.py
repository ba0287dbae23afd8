"""An event that waited comes to its account with the times that it had: late, and harmless to the clock of its lane."""

from __future__ import annotations

from schemas.topics import USAGE_EVENTS
from services.scorer.usage_processor import UsageProcessor
from tests.support.attribution import KIM, Log
from tests.support.scorer import DAY, at


def lane_of(log: Log) -> UsageProcessor:
    runner = log.runner()
    lane = runner.processor(USAGE_EVENTS)
    assert isinstance(lane, UsageProcessor)
    return lane


def test_an_event_that_waited_for_days_is_counted_on_its_own_day_and_moves_no_clock() -> None:
    log = Log(1)
    log.tick(at(0, 8))
    log.event("other", "u_lee", at(0, 9), account="acme")
    for number in range(3):
        log.event(f"e{number}", KIM, at(0, 10) + number)
    for day in range(1, 4):
        log.tick(at(day, 1))
        log.tick(at(day, 5))
    log.runner().run()
    log.link("MEMBER", KIM, "acme", at(3, 6))
    log.runner().run()
    lane = lane_of(log)
    account = lane.state.accounts["acme"]
    history = account.history("events", DAY + 2)

    assert lane.log_time == at(3, 5)
    assert history is not None
    assert history[-3:].tolist() == [4, 0, 0]
    assert (lane.state.ledger.late_applied, lane.state.ledger.steps_refused, lane.waiting) == (3, 0, None)


def test_a_lane_whose_first_event_has_waited_begins_at_its_time_and_is_walked_from_there() -> None:
    log = Log(1)
    log.control("tick", {"at": at(), "epoch": 0})
    log.event("e1", KIM, at(0, 1))
    log.control("tick", {"at": at(5), "epoch": 0})
    log.link("MEMBER", KIM, "acme", at(5, 1))
    log.runner().run()
    assert lane_of(log).log_time == at(0, 1)

    log.control("tick", {"at": at(1, 1), "epoch": 0}, USAGE_EVENTS)  # as the ticker does: day by day
    log.control("tick", {"at": at(5, 2), "epoch": 0}, USAGE_EVENTS)
    log.runner().run()
    lane = lane_of(log)

    assert (lane.log_time, lane.waiting, lane.state.ledger.applied) == (at(5, 2), None, 1)
