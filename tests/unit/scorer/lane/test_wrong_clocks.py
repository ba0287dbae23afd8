"""
A whole installation whose machines disagree about the time: three clocks, two partitions, the aggregator, hours and days.

No day closes early, no lane runs ahead, no event is lost or dead-lettered, and each day gets its factor.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas import codec
from services.scorer.usage_processor import UsageProcessor
from services.shared.engine.errors import TooManyRaises, Unanswered
from services.shared.engine.memory.runner import Cuts
from services.shared.units import DAY_MS
from tests.support.scorer import DAY, Log, at, clock, days_of, tick

MINUTE, HOUR = 60_000, 3_600_000

Clock = Callable[[int], int]
"""True time to what a clock shows, milliseconds since 1970 UTC."""


def right(now: int) -> int:
    return now


class Installation:
    """Ingest, broker and scorer on a log in memory, each with a clock of its own."""

    def __init__(self, start: int, *, ingest: Clock = right, broker: Clock = right, scorer: Clock = right) -> None:
        self.log = Log(2)
        self.runner = self.log.runner()
        self.now = start
        self.ingest, self.broker, self.scorer = ingest, broker, scorer
        self.away = False
        self.sent = 0
        self.ticked = [-HOUR, -HOUR]
        self.accounts = {0: "acme", 1: "globex"}
        assert {self.log.memory.append("t", name.encode(), b"").partition for name in self.accounts.values()} == {0, 1}

    def processor(self, partition: int) -> UsageProcessor:
        processor = self.runner.processor("usage-events", partition)
        assert isinstance(processor, UsageProcessor)
        return processor

    def event(self, account: str, *, user: str = "ann") -> None:
        self.sent += 1
        shown = self.ingest(self.now)
        self.log.event(f"e{self.sent}", account, user, shown, received_at=shown, appended_at=self.broker(self.now))

    def minute(self) -> None:
        """Let a minute pass, ticked by the rules of the ticker."""
        self.now += MINUTE
        if self.away:
            return
        self.runner.run()
        for partition in range(2):
            if self.runner.stopped("usage-events", partition) is None:
                self._tick(partition)
        self.runner.run()

    def _tick(self, partition: int) -> None:
        shown, processor = self.scorer(self.now), self.processor(partition)
        if processor.log_time and DAY_MS < shown - processor.log_time <= 7 * DAY_MS:
            for when in range(processor.log_time + DAY_MS, shown, DAY_MS):
                self.log.control("tick", tick(when), partition, self.broker(self.now))
        self.log.control("tick", tick(shown), partition, self.broker(self.now))

    def pass_(self, minutes: int, each: Callable[[int], None] = lambda _: None) -> None:
        """Let minutes pass, `each` called with the number of each; no lane may ever be ahead of the true time."""
        for number in range(minutes):
            each(number)
            self.minute()
            if not self.away:
                for partition in range(2):
                    assert self.processor(partition).log_time <= self.now
                    assert self.processor(partition).state.clock.today <= self.now // DAY_MS

    def check(self, days: range) -> None:
        """Check that nothing is lost and each day was decided, by all partitions unless told."""
        ledgers = [self.processor(p).state.ledger for p in range(2)]
        assert sum(ledger.applied for ledger in ledgers) == self.sent
        assert not self.log.memory.records("dead-letters")
        assert self.decided() == [DAY + day for day in days]
        counted = sum(
            sum(events for events, _ in days_of(account).values()) + account.events_today
            for p in range(2)
            for account in self.processor(p).state.accounts.values()
        )
        assert counted == self.sent

    def decided(self) -> list[int]:
        return [codec.decode(value)[1]["day"] for value in self.log.memory.values("fleet")]

    def both(self, _: int) -> None:
        for account in self.accounts.values():
            self.event(account)


@pytest.mark.parametrize("ahead", [100 * DAY_MS, -HOUR])
def test_a_scorer_100_days_ahead_or_an_hour_behind(ahead: int) -> None:
    world = Installation(at(0, 20), scorer=lambda now: now + ahead)
    world.pass_(8 * 60, world.both)

    world.check(range(1))
    assert {processor.state.clock.today for processor in map(world.processor, range(2))} == {DAY + 1}


def test_a_scorer_that_is_ahead_closes_the_days_of_idle_lanes_on_time() -> None:
    world = Installation(at(0, 20), scorer=lambda now: now + 100 * DAY_MS)
    world.pass_(3 * 24 * 60)

    world.check(range(3))


@pytest.mark.parametrize("share", [1, 20])
def test_an_ingest_25_hours_ahead_alone_and_among_right_ones(share: int) -> None:
    world = Installation(at(0, 18))

    def each(number: int) -> None:
        world.ingest = (lambda now: now + 25 * HOUR) if number % share == 0 else right
        world.both(number)

    world.pass_(12 * 60, each)

    world.check(range(1))


def test_a_broker_a_day_ahead_for_a_minute() -> None:
    world = Installation(at(0, 20), broker=lambda now: now + DAY_MS if at(0, 22) <= now < at(0, 22) + MINUTE else now)
    world.pass_(8 * 60, world.both)

    world.check(range(1))


def test_a_broker_two_hours_behind_over_midnight() -> None:
    world = Installation(at(0, 20), broker=lambda now: now - 2 * HOUR if at(0, 23) <= now < at(1, 5) else now)
    world.pass_(12 * 60, world.both)

    world.check(range(1))
    closed = [codec.decode(value)[1] for value in world.log.memory.values("account-health", b"acme")]
    assert [s["day"] - DAY for s in closed if s["reason"] == "DAY_CLOSE"] == [0]


def test_an_idle_lane_beside_a_busy_one() -> None:
    world = Installation(at(0, 20))
    world.pass_(2 * 24 * 60, lambda _: world.event("acme"))

    world.check(range(2))


def test_a_lane_that_stands_still_for_three_days_denies_nobody_the_factor() -> None:
    world = Installation(at(0, 20))
    world.pass_(30, world.both)
    lane = world.runner._lanes["usage-events", 1]
    lane.stopped = TooManyRaises("stopped by the test")
    world.pass_(3 * 24 * 60, lambda number: world.both(number) if number % 10 == 0 else None)
    while_stopped = [codec.decode(value)[1] for value in world.log.memory.values("fleet")]
    assert [(f["day"] - DAY, f["reported"], f["partitions"]) for f in while_stopped] == [(d, 1, 2) for d in range(3)]

    lane.stopped = None
    world.pass_(6 * 60, world.both)

    world.check(range(4))
    closed = [codec.decode(value)[1] for value in world.log.memory.values("account-health", b"globex")]
    assert [s["day"] - DAY for s in closed if s["reason"] == "DAY_CLOSE"] == [0, 1, 2, 3]


def test_a_scorer_that_was_away_for_five_days_has_each_day_decided_when_it_is_back() -> None:
    world = Installation(at(0, 20))
    world.pass_(60, world.both)
    world.away = True
    world.pass_(5 * 24 * 60, lambda number: world.both(number) if number % 60 == 0 else None)
    world.away = False
    world.pass_(60)

    world.check(range(5))


def test_both_clocks_ahead_of_an_idle_installation_wait_for_a_person() -> None:
    world = Installation(at(0, 20))
    world.pass_(60)
    world.broker = world.scorer = lambda now: now + 30 * DAY_MS
    world.pass_(60)
    assert all(processor.waiting for processor in map(world.processor, range(2)))
    world.broker = world.scorer = right
    world.pass_(60, world.both)

    assert {processor.log_time for processor in map(world.processor, range(2))} == {world.now}
    assert not any(processor.waiting for processor in map(world.processor, range(2)))


@pytest.mark.parametrize("mode", ["ACCEPT", "REFUSE"])
@pytest.mark.parametrize(
    "cuts", [Cuts(), Cuts(chunk=(1,)), Cuts(chunk=(2, 3), transaction=3), Cuts(crashes=(7, 9, 12))]
)
def test_events_after_ten_silent_days_wait_for_a_person_and_count_when_they_came(mode: str, cuts: Cuts) -> None:
    log = Log(1)
    log.event("e1", when=at(0, 9))
    log.control("tick", tick(at(0, 10)))
    for number in range(5):
        log.event(f"later{number}", user=f"u{number}", when=at(10, 9) + number)
    runner = log.runner(cuts)
    runner.run()
    stopped = runner.stopped("usage-events")
    assert isinstance(stopped, Unanswered)
    assert "10.0 days" in str(stopped)

    log.control("tick", tick(at(10, 10)))
    log.control("clock", clock(mode, at(10, 10)))
    log.control("tick", tick(at(10, 10) + MINUTE if mode == "ACCEPT" else at(0, 11)))
    runner.run()
    processor = runner.processor("usage-events")
    assert isinstance(processor, UsageProcessor)

    assert runner.stopped("usage-events") is None
    day = 10 if mode == "ACCEPT" else 0
    account = processor.state.accounts["acme"]
    assert (processor.state.clock.today - DAY, account.events_today) == (day, 5 if mode == "ACCEPT" else 6)
    assert (processor.state.ledger.applied, processor.state.ledger.dead_lettered) == (6, 0)
    replay = log.without_outputs()
    replay.runner(aggregate=False).run()
    assert replay.memory.values("account-health") == log.memory.values("account-health")
    assert replay.memory.latest("scorer-usage-events-state") == log.memory.latest("scorer-usage-events-state")


def test_each_day_of_a_long_absence_that_a_person_accepts_gets_its_factor() -> None:
    """One lane reports all of its days before the next one reports its first."""
    log = Log(2)
    for account in ("acme", "globex"):
        log.event("e1", account, when=at(0, 5))
    log.control("tick", tick(at(0, 8)))
    runner = log.runner()
    runner.run()
    log.control("clock", clock("ACCEPT", at(100, 8)))
    runner.run()

    assert [codec.decode(value)[1]["day"] - DAY for value in log.memory.values("fleet")] == list(range(100))
    for partition in range(2):
        processor = runner.processor("usage-events", partition)
        assert isinstance(processor, UsageProcessor)
        assert not processor.state.held
