"""Accounts that nobody mentions any more are forgotten, and a lane holds so many at most."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import codec
from services.scorer.domain.lane.outcome import Forgotten
from services.scorer.domain.lane.usage_fold import UsageFold
from tests.support.scorer import DAY, MODEL, PLAN, Log, UsageLane, at, days_of, tick

NOBODY = 258
"""The first day whose close forgets an account that was last heard of on day 0."""


def silent_for(days: int, *events: dict[str, Any]) -> UsageLane:
    lane = UsageLane()
    for number, changes in enumerate(events):
        lane.event(f"e{number}", **changes)
    for day in range(days):
        lane.close(day)
    return lane


def forgotten(lane: UsageLane) -> list[str]:
    return [o.account for o in lane.out if isinstance(o, Forgotten)]


def test_an_account_that_nobody_mentions_for_256_days_is_forgotten_and_counted() -> None:
    lane = silent_for(NOBODY - 1, {})
    assert "acme" in lane.state.accounts
    lane.close(NOBODY - 1)

    (found,) = [o for o in lane.out if isinstance(o, Forgotten)]
    assert (found.account, found.historical) == ("acme", False)
    assert at(NOBODY) < found.at <= lane.state.clock.now < at(NOBODY, 1)
    assert not lane.state.accounts
    assert lane.state.ledger.forgotten == 1
    assert not [key for key in lane.state_records() if b"acme" in key]


@pytest.mark.parametrize(
    "traits",
    [{"revenue": 5}, {"contract_start": "2024-01-01"}, {"renewal_date": "2026-01-01"}],
)
def test_whoever_pays_or_has_a_contract_is_remembered(traits: dict[str, Any]) -> None:
    lane = silent_for(NOBODY + 30, {"kind": "GROUP", "properties": traits})

    assert "acme" in lane.state.accounts
    assert not forgotten(lane)


def test_whoever_has_an_open_ticket_is_remembered() -> None:
    lane = silent_for(NOBODY + 30, {"name": "Ticket Opened", "properties": {"ticket_id": 1}})

    assert "acme" in lane.state.accounts


def test_a_customer_whose_renewal_passed_as_long_ago_has_left() -> None:
    traits = {"revenue": 5, "renewal_date": "2024-10-10"}
    lane = silent_for(NOBODY + 10, {"kind": "GROUP", "properties": traits})

    assert forgotten(lane) == ["acme"]


def test_a_forgotten_account_that_comes_back_begins_anew() -> None:
    lane = silent_for(NOBODY, {})
    lane.event("again", when=at(NOBODY, 5))
    lane.close(NOBODY)

    assert lane.snapshots("acme")[-1]["sequence"] == 2  # a touch and a close
    assert days_of(lane.state.accounts["acme"]) == {DAY + NOBODY: (1, 1)}
    assert lane.reopened().state_records() == lane.state_records()


def test_readers_are_told_by_a_record_and_the_latest_health_is_deleted() -> None:
    log = Log(1)
    log.event("e1")
    for day in range(1, NOBODY + 2):
        log.control("tick", tick(at(day)))
        log.control("tick", tick(at(day, 1)))
    log.runner().run()

    last = log.memory.records("account-health")[-1]
    kind, value = codec.decode(last.value or b"")
    assert (kind, value["account"], value["historical"]) == ("account_forgotten", "acme", False)
    assert at(NOBODY) < value["at"] <= at(NOBODY, 1)
    assert not log.memory.latest("account-health-latest")


def test_the_cap_on_accounts_costs_new_ones_their_events_and_nobody_else() -> None:
    lane = UsageLane()
    lane.fold = UsageFold(0, 1, PLAN, MODEL, 200_000, most_accounts=2)
    lane.tick(at())
    for number in range(4):
        lane.event(f"e{number}", account=f"a{number}")
    lane.event("more", account="a1")
    lane.event("late", account="a3", when=at(-4))

    assert sorted(lane.state.accounts) == ["a0", "a1"]
    assert [(r.reason, r.field) for r in lane.rejections()] == [("too_many_accounts", "account")] * 3
    assert (lane.state.ledger.over_cap, lane.state.ledger.applied, lane.state.ledger.received) == (3, 3, 6)


def test_an_account_that_was_merged_into_another_is_forgotten_and_judged_no_more() -> None:
    lane = UsageLane()
    for number in range(3):
        lane.event(f"e{number}", "crm-17", when=at(number))
        lane.event(f"o{number}", "acme", when=at(number))
        lane.close(number)
    lane.out.clear()

    lane.fold.command({"command": "FORGET", "account": "crm-17", "at": 0, "by": ""})
    lane.fold.command({"command": "FORGET", "account": "crm-17", "at": 0, "by": ""})
    for number in range(3, 6):
        lane.close(number)

    assert [o.account for o in lane.out + lane.state.outcomes if isinstance(o, Forgotten)] == ["crm-17"]
    assert {s["account"] for s in lane.snapshots()} == {"acme"}
    assert set(lane.reopened().state.accounts) == {"acme"}
    assert lane.state.ledger.controls_ignored == 1


@pytest.mark.parametrize("historical", [False, True])
def test_what_is_forgotten_says_whether_a_backfill_led_to_it(historical: bool) -> None:
    """A late backfill: its event is the last that was heard of the account, and no snapshot came of it yet."""
    lane = silent_for(3, {"account": "other"}, {"historical": historical})
    account = lane.state.accounts["acme"]
    account.touched_day -= 300
    account.historical = historical
    lane.close(3)

    (found,) = [o for o in lane.out if isinstance(o, Forgotten)]
    assert (found.account, found.historical) == ("acme", historical)


def test_an_order_to_forget_takes_effect_at_log_time_and_is_of_the_past_in_a_drive() -> None:
    order = {"command": "FORGET", "account": "acme", "at": 0, "by": ""}
    live, driven = UsageLane(), UsageLane(start=0)
    driven.clock("DRIVEN", at(), 7)
    for lane, epoch in ((live, 0), (driven, 7)):
        lane.event("e1", epoch=epoch)
        lane.fold.command(order)

    for lane, historical in ((live, False), (driven, True)):
        (found,) = [o for o in lane.out + lane.state.outcomes if isinstance(o, Forgotten)]
        assert found == Forgotten("acme", at(), historical)


def test_a_quarantined_account_can_be_forgotten_too() -> None:
    lane = UsageLane()
    lane.event("e1", "crm-17")
    lane.fold.quarantine("crm-17", "broken", frozen=True)

    lane.fold.command({"command": "FORGET", "account": "crm-17", "at": 0, "by": ""})

    assert (lane.state.accounts, lane.state.quarantined, lane.reopened().state.quarantined) == ({}, {}, {})
