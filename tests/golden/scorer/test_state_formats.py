"""State that was written once is read for ever: bytes of each format, and what they say."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS
from services.scorer.domain.counters import LEDGER_KEY, decode_counters
from services.scorer.domain.lane.ledger import LedgerCounters
from services.scorer.domain.lane.state_format import NEWEST
from services.shared.errors import IncompatibleState
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.tracking_plan.reading import read_plan
from tests.golden.scorer.renew import PLAN as PLAN_OF_KINDS
from tests.support.plans import default_without
from tests.support.scorer import DAY, UsageLane, at, days_of, measures

HERE = Path(__file__).parent
PLAN = read_plan(default_without("facts.country"))
"""The default plan as it was when these bytes were written: what it has gained since would be written too."""


def stored(version: int, name: str = "state_format") -> dict[bytes, bytes]:
    text = (HERE / f"{name}_{version}.json").read_text("utf-8")
    return {key.encode("latin-1"): bytes.fromhex(value) for key, value in json.loads(text).items()}


def lane_of(records: dict[bytes, bytes], written: int = NEWEST, plan: TrackingPlan = PLAN) -> UsageLane:
    lane = UsageLane(plan, start=0, written=written)
    for key, value in records.items():
        lane.state.restore(key, value)
    for _ in lane.state.restoring():
        pass
    return lane


def rewritten(lane: UsageLane) -> dict[bytes, bytes | None]:
    """Write every record of a lane, changed or not."""
    state = lane.state
    accounts = {"acme", "broken"}
    state.hot, state.cold, state.moved, state.fleet_moved = set(accounts), set(accounts), True, True
    found = state.quarantined["broken"]
    state.quarantine(state.accounts["broken"], found.detail)
    state.quarantined["broken"] = found
    state.ledger.quarantined -= 1
    return dict(state.take_changes())


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_every_format_is_read(version: int) -> None:
    lane = lane_of(stored(version))
    account = lane.state.accounts["acme"]

    assert days_of(account) == {DAY: (3, 2)}
    places = (EVENTS, ACTIVE, account.kinds.counts["value"])
    assert [account.daily_counts.get(place, DAY) for place in places] == [3, 2, 1]
    assert (account.events_today, account.active_users.today.bit_count(), len(account.active_users)) == (2, 2, 3)
    assert (account.milestone("first_activity"), account.last_active_day, account.touched_day) == (
        DAY,
        DAY + 1,
        DAY + 1,
    )
    assert account.open_day == DAY + 1
    assert [account.fact(f) for f in ("seats", "owner", "renewal_day", "plan")] == [7, "mia", 20_148, None]
    assert account.answers_of(0) == {"ann": (at(0, 5), 4)}
    assert account.cases_of(0) == {"T-1": (at(0, 4), 0), "T-2": (at(0, 4), at(0, 6))}
    assert account.queued
    assert lane.state.queue == {"acme"}
    assert "ZeroDivisionError" in lane.state.quarantined["broken"].detail
    assert lane.state.clock.now == at(1, 2)
    assert lane.state.fleet.factor_ppm(DAY) == 1_000_000
    assert lane.state.connected == {"usage", "breadth", "value", "support", "sentiment", "renewal"}
    assert lane.state.ledger.applied == 11
    assert lane.state.clock.moved_by == ("" if version == 1 else "ingest-a-0")


@pytest.mark.parametrize("written", range(1, NEWEST + 1))
@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_a_lane_of_every_format_goes_on_and_writes_the_one_in_force(version: int, written: int) -> None:
    lane = lane_of(stored(version), written)
    lane.event("next", user="dan", when=at(1, 3))
    lane.close(1)

    assert days_of(lane.state.accounts["acme"]) == {DAY: (3, 2), DAY + 1: (3, 3)}
    assert measures(lane.snapshots()[-1])["active_users_7"] == 4
    assert {value[0] for key, value in lane.state_records().items() if key != LEDGER_KEY} == {written}


def test_records_of_two_formats_make_one_lane() -> None:
    for mixed in itertools.product((1, NEWEST), repeat=len(stored(1))):
        records = {key: stored(version)[key] for key, version in zip(sorted(stored(1)), mixed, strict=True)}
        assert rewritten(lane_of(records, 1)) == stored(1)


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_this_version_writes_the_bytes_that_are_kept_here(version: int) -> None:
    assert rewritten(lane_of(stored(version), version)) == stored(version)


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_every_kind_that_a_plan_declares_is_read_and_written_as_it_is_kept_here(version: int) -> None:
    lane = lane_of(stored(version, "state_of_kinds"), version, PLAN_OF_KINDS)
    account = lane.state.accounts["acme"]
    sheets, admins = account.last_used("sheets"), account.in_role("admin")

    assert [account.today(name) for name in ("events", "active", "value", "exports")] == [2, 2, 1, 1]
    assert account.open_since("invoices") == [at(0, 4)]
    assert account.sentiment("csat", at(1, 3)).latest_score == 2
    assert account.fact_history("seats") == [(at(0, 6), 50), (at(0, 7), 40)]
    assert (account.fact("tier"), account.fact("owner")) == ("pro", None)
    assert account.milestone("first_value") == DAY + 1
    assert sheets is not None and admins is not None
    assert (sheets.tolist(), admins.tolist()) == ([DAY], [True])
    assert account.active_users.features is not None
    assert account.active_users.features.today == [2]
    state = lane.state
    state.hot, state.cold, state.roles, state.moved, state.fleet_moved = {"acme"}, {"acme"}, {"acme"}, True, True
    assert dict(state.take_changes()) == stored(version, "state_of_kinds")


@pytest.mark.parametrize("key", [b"h:acme", b"c:acme", b"q:broken", b"l:clock", b"l:fleet", b"l:ledger"])
def test_a_newer_format_is_refused(key: bytes) -> None:
    records = stored(NEWEST)
    records[key] = bytes((NEWEST + 1,)) + records[key][1:]

    with pytest.raises(IncompatibleState, match="later"):
        lane_of(records)


def test_the_counters_can_be_read_by_others() -> None:
    assert decode_counters(stored(NEWEST)[LEDGER_KEY], LedgerCounters).applied == 11
