"""One account that cannot be worked on stands apart; everybody else goes on."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import codec
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.health import snapshot
from services.scorer.domain.lane import day_close
from services.scorer.usage_processor import UsageProcessor
from services.shared.engine.memory.runner import Cuts
from services.shared.errors import KeyFault
from tests.support.scorer import DAY, Log, UsageLane, at, days_of, encode, tick

evaluate = snapshot.evaluate


@pytest.fixture
def bad_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(account: Account, context: Any) -> Any:
        if account.name == "bad":
            raise ZeroDivisionError("no expected use")
        return evaluate(account, context)

    monkeypatch.setattr(day_close, "evaluate", raising)


@pytest.mark.usefixtures("bad_evaluation")
def test_an_account_whose_evaluation_raises_is_set_apart_and_the_others_are_evaluated() -> None:
    lane = UsageLane()
    for name in ("bad", "good", "better"):
        lane.event("e1", name)
    lane.tick(at(0, 1))
    lane.close(0)

    assert {s["account"] for s in lane.snapshots()} == {"good", "better"}
    found = lane.state.quarantined["bad"]
    assert "ZeroDivisionError: no expected use" in found.detail
    assert (found.at, found.frozen_day, lane.state.ledger.quarantined) == (at(0, 1), -1, 1)


@pytest.mark.usefixtures("bad_evaluation")
def test_the_events_of_a_quarantined_account_go_on_to_count() -> None:
    lane = UsageLane()
    for day in range(3):
        lane.event(f"e{day}", "bad", when=at(day, 9))
        lane.tick(at(day, 10))
        lane.close(day)
        lane = lane.reopened()

    assert days_of(lane.state.accounts["bad"]) == {DAY + n: (1, 1) for n in range(3)}
    assert not lane.rejections()


def test_a_released_account_is_evaluated_on_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = UsageLane()
    lane.event("e1")
    with monkeypatch.context() as patched:
        patched.setattr(day_close, "evaluate", lambda *_: 1 / 0)
        lane.tick(at(0, 1))
    assert not lane.snapshots()
    lane.release("acme")
    lane.tick(at(0, 2))

    assert [s["reason"] for s in lane.snapshots()] == ["URGENT"]
    assert not lane.state.quarantined
    assert not [key for key in lane.state_records() if key.startswith(b"q:")]


def test_an_order_for_an_account_that_is_not_quarantined_is_counted_and_changes_nothing() -> None:
    lane = UsageLane()
    lane.event("e1")
    lane.release("acme")
    lane.release("nobody")

    assert lane.state.ledger.controls_ignored == 2


def test_an_account_whose_day_cannot_be_closed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    close_day = Account.close_day

    def raising(account: Account, day: int, midnight: int) -> tuple[bool, bool]:
        if account.name == "bad":
            raise IndexError("ring")
        return close_day(account, day, midnight)

    monkeypatch.setattr(Account, "close_day", raising)
    lane = UsageLane()
    for name in ("bad", "good"):
        lane.event("e1", name)
    before = lane.state_records()
    with pytest.raises(KeyFault) as fault:
        lane.tick(at(1, 1))
    assert fault.value.key == "bad"

    again = UsageLane(start=0)
    for key, value in before.items():
        again.state.restore(key, value)
    for _ in again.state.restoring():
        pass
    again._records = dict(before)
    again.fold.quarantine(fault.value.key, fault.value.detail, frozen=True)
    again.tick(at(1, 1))
    assert [p["day"] - DAY for p in again.partials()] == [0]
    again.event("e2", "bad", when=at(1, 2))
    again.event("e3", "good", when=at(1, 2))
    assert [(r.reason, r.event["account"]) for r in again.rejections()] == [("quarantined", "bad")]

    again = again.reopened()
    assert again.state.frozen("bad")
    monkeypatch.setattr(Account, "close_day", close_day)
    again.release("bad")
    again.tick(at(1, 3))
    again.event("e4", "bad", when=at(1, 4))
    assert days_of(again.state.accounts["bad"]) == {DAY: (1, 1)}
    assert again.state.accounts["bad"].events_today == 1


def test_an_account_whose_snapshot_cannot_be_written_is_set_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_long(account: Account, context: Any) -> Any:
        result = evaluate(account, context)
        if account.name == "bad":
            result.snapshot["day"] = "today"
        return result

    monkeypatch.setattr(day_close, "evaluate", too_long)
    states = []
    for cuts in (Cuts(), Cuts(chunk=(1,)), Cuts(chunk=(3,), crashes=(2, 5, 8))):
        log = Log(1)
        log.event("e1", "bad")
        log.event("e1", "good")
        log.control("tick", tick(at(0, 1)))
        log.event("e2", "bad", when=at(0, 2), name="Ticket Opened", properties={"ticket_id": 1})
        log.control("tick", tick(at(0, 3)))
        runner = log.runner(cuts)
        runner.run()
        processor = runner.processor("usage-events")
        assert isinstance(processor, UsageProcessor)

        assert [(name, found.at) for name, found in processor.state.quarantined.items()] == [("bad", at(0, 1))]
        assert {codec.decode(value)[1]["account"] for value in log.memory.values("account-health")} == {"good"}
        states.append(log.memory.latest("scorer-usage-events-state"))
    assert states[1:] == states[:1] * 2


def test_an_order_is_read_from_the_log() -> None:
    log = Log(1)
    log.event("e1")
    log.memory.append(
        "usage-events", b"acme", encode("command", {"command": "RELEASE", "account": "acme", "at": at(), "by": "nora"})
    )
    runner = log.runner()
    runner.run()
    processor = runner.processor("usage-events")
    assert isinstance(processor, UsageProcessor)

    assert processor.state.ledger.controls_ignored == 1
    assert not log.memory.records("dead-letters")
