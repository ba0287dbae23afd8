"""A backfill that drives the clock beside live traffic: what is live is put off, never lost, and counted once."""

from __future__ import annotations

from services.scorer.usage_processor import UsageProcessor
from services.shared.engine.memory.runner import Cuts
from services.shared.kafka.partition import partition_for
from tests.support.scorer import DAY, Log, UsageLane, at, clock, days_of, measures

EPOCH = 7
LATER = 300


def driven() -> UsageLane:
    lane = UsageLane(start=0)
    lane.clock("DRIVEN", at(), EPOCH)
    lane.event("old", when=at(0, 3), epoch=EPOCH, historical=True)
    return lane


def test_a_live_event_during_a_drive_is_put_off_and_counted_when_it_comes_again() -> None:
    lane = driven()
    lane.event("live", account="acme", when=at(LATER, 1))

    assert lane.rejections() == []
    assert lane.state.clock.now == at(0, 3)
    assert (lane.state.ledger.applied, lane.state.ledger.deferred, lane.state.ledger.received) == (1, 1, 2)

    lane.clock("LIVE", at(LATER, 2))
    lane.event("live", account="acme", when=at(LATER, 1))
    lane.event("live", account="acme", when=at(LATER, 1))

    ledger = lane.state.ledger
    assert (ledger.applied, ledger.duplicates, ledger.deferred) == (2, 1, 1)
    assert lane.state.accounts["acme"].events_today == 1


def test_a_lane_that_has_counted_an_event_refuses_to_be_driven_and_goes_on_live() -> None:
    lane = UsageLane()
    lane.event("live", when=at(0, 1))
    lane.state.accounts.clear()  # forgotten since
    lane.clock("DRIVEN", at(-100), EPOCH)

    assert not lane.state.clock.driven
    lane.event("next", when=at(0, 2))
    assert lane.state.ledger.applied == 2


def test_a_drive_over_hours_of_which_only_staging_was_known_counts_each_event_once_after_a_restart() -> None:
    lane = UsageLane(start=0)
    lane.clock("DRIVEN", at(), EPOCH)
    lane.event("tried", when=at(0, 3), epoch=EPOCH, environment="staging")
    lane.clock("DRIVEN", at(), EPOCH + 1)
    lane.event("real", when=at(0, 3), epoch=EPOCH + 1)

    again = lane.reopened()
    again.event("real", when=at(0, 3), epoch=EPOCH + 1)

    assert (again.state.ledger.applied, again.state.ledger.duplicates) == (1, 1)


def test_handing_back_a_lane_that_nobody_drives_changes_nothing() -> None:
    lane = UsageLane()
    lane.event("live", when=at(0, 1))
    before = lane.state.clock.now
    lane.clock("LIVE", at(3))

    assert lane.state.clock.now == before


def test_a_drive_given_up_beside_live_traffic_wedges_no_lane_whatever_crashes_on_the_way() -> None:
    """One lane has counted a live event and refuses; the other is driven, and puts off what comes in meanwhile."""

    def told(crashes: tuple[int, ...]) -> tuple[list[int], list[bytes]]:
        log = Log(partitions=2)
        log.event("first", account="here", when=at(LATER))
        taken = partition_for(b"globex", 2)
        assert taken != partition_for(b"here", 2)
        log.control("clock", clock("DRIVEN", at(), EPOCH))
        for number in range(5):
            log.event(f"here-{number}", account="here", when=at(LATER, 1))
            log.event(f"there-{number}", account="globex", when=at(LATER, 1))
        put_off = [r for r in log.memory.read("usage-events", taken) if r.key]
        log.control("clock", clock("LIVE", at(LATER, 2)))
        for record in put_off:
            log.memory.append("usage-events", record.key, record.value, taken)
        runner = log.runner(Cuts(chunk=(1, 3), crashes=crashes))
        runner.run()
        lanes = [runner.processor("usage-events", number) for number in (taken, 1 - taken)]
        ledgers = [lane.state.ledger for lane in lanes if isinstance(lane, UsageProcessor)]
        assert [ledger.deferred for ledger in ledgers] == [5, 0]
        return [ledger.applied for ledger in ledgers], log.memory.values("dead-letters")

    assert told(()) == told((3, 9, 17)) == ([5, 6], [])


def test_what_the_past_has_not_changed_does_not_make_the_next_change_one_of_the_past() -> None:
    lane = UsageLane()
    lane.event("e1", when=at(0, 1))
    lane.tick(at(0, 2))
    published = len(lane.snapshots("acme"))
    lane.event("old", when=at(0, 3), historical=True)
    lane.tick(at(0, 4))
    assert len(lane.snapshots("acme")) == published

    lane.event("live", when=at(0, 5), name="NPS Submitted", properties={"score": "2"})
    lane.tick(at(0, 6))

    assert [each["historical"] for each in lane.snapshots("acme")[published:]] == [False]


def test_the_factors_of_the_days_before_a_drive_are_not_those_of_the_days_that_it_drives() -> None:
    """An installation without events decides a factor of 1 each day; its first backfill goes over the same days."""
    lane = UsageLane(start=at(0, 8))
    for day in range(3):
        lane.tick(at(day + 1, 1))
        lane.fleet(day, accounts=0)
        lane.tick(at(day + 1, 2))
    lane.clock("DRIVEN", at(0), EPOCH)
    lane.event("old", when=at(0, 3), epoch=EPOCH, historical=True)
    lane.tick(at(1), EPOCH)
    assert lane.state.clock.pending == DAY

    lane.fleet(0, 700_000, epoch=EPOCH)

    assert lane.state.fleet.factor_ppm(DAY) == 700_000
    assert [measures(s)["fleet_level"] for s in lane.snapshots("acme") if s["reason"] == "DAY_CLOSE"] == [0.7]


def test_an_event_of_a_drive_that_opens_a_log_counts_on_its_day_as_a_late_one() -> None:
    """Retention may cut a log in the middle of a drive; and anyone who may send history can name an epoch."""
    told = []
    for cuts in (Cuts(), Cuts(chunk=(1,), crashes=(2, 4))):
        log = Log(partitions=1)
        for day in (0, 1):
            when = at(day, 5)
            log.event(f"e{day}", when=when, epoch=EPOCH, historical=True, appended_at=at(30, 1) + day)
        log.event("live", when=at(30, 2), appended_at=at(30, 2))
        runner = log.runner(cuts)
        runner.run()
        processor = runner.processor("usage-events")
        assert isinstance(processor, UsageProcessor)
        assert days_of(processor.state.accounts["acme"]) == {DAY: (1, 1), DAY + 1: (1, 1)}
        assert (processor.state.accounts["acme"].events_today, processor.log_time) == (1, at(30, 2))
        told.append(log.memory.latest("scorer-usage-events-state"))
    assert told[0] == told[1]
