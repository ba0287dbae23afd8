"""The fold: what each record does to the state, and what comes out."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from services.scorer.domain.lane.account_format import COLD, HOT
from services.scorer.domain.lane.ledger import LedgerCounters
from tests.support.scorer import DAY, UsageLane, at, days_of, measures, tick
from tests.support.scorer import event as make


def active(lane: UsageLane, account: str = "acme") -> dict[int, tuple[int, int]]:
    """Return events and active user-days by test day, today included."""
    found = lane.state.accounts[account]
    days = {day - DAY: pair for day, pair in days_of(found).items()}
    if found.events_today:
        days[lane.state.clock.today - DAY] = (found.events_today, found.active_users.today.bit_count())
    return days


def test_a_repeated_event_is_counted_once() -> None:
    lane = UsageLane()
    for _ in range(3):
        lane.event("e1")
    lane.event("e1", source="other app")
    lane.event("e1", account="other account")

    assert active(lane) == {0: (2, 1)}
    assert (lane.state.ledger.applied, lane.state.ledger.duplicates) == (3, 2)


def test_an_active_user_day_is_a_person_and_a_day() -> None:
    lane = UsageLane()
    for number, user in enumerate(["ann", "ann", "bob", "", "ann"]):
        lane.event(f"e{number}", user=user, when=at(0, number))
    lane.close(0)
    lane.event("e9", when=at(1, 5))
    lane.close(1)

    assert active(lane) == {0: (5, 2), 1: (1, 1)}


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "IDENTIFY"},
        {"kind": "ALIAS"},
        {"kind": "GROUP"},
        {"name": "Ticket Opened", "properties": {"ticket_id": 1}},
        {"name": "NPS Submitted", "properties": {"score": 9}},
    ],
)
def test_what_is_no_use_of_the_product_is_no_active_user_day(changes: dict[str, Any]) -> None:
    lane = UsageLane()
    lane.event("e1", **changes)
    lane.close(0)

    assert active(lane) == {}
    assert lane.state.ledger.applied == 1
    assert "first_activity" not in lane.snapshots()[-1]["dates"]


def test_staff_and_monitors_do_not_count() -> None:
    lane = UsageLane()
    for number, internal in enumerate([True, True, False]):
        lane.event(f"e{number}", user=f"u{number}", internal=internal)
        lane.event(f"late{number}", user=f"u{number}", internal=internal, when=at(-3))

    assert active(lane) == {0: (1, 1), -3: (1, 1)}
    assert lane.state.ledger.applied == 6


def test_what_is_not_production_is_counted_and_never_scores() -> None:
    lane = UsageLane()
    lane.event("e1", environment="staging")
    lane.event("e1", environment="staging")

    assert not lane.state.accounts
    assert (lane.state.ledger.non_production, lane.state.ledger.duplicates) == (1, 1)


def test_a_copy_of_production_that_sends_the_same_ids_takes_nothing_from_production() -> None:
    lane = UsageLane()
    lane.event("e1", environment="staging")
    lane.event("e1")

    assert (lane.state.ledger.applied, lane.state.ledger.non_production, lane.state.ledger.duplicates) == (1, 1, 0)


def test_names_are_compared_without_case_spaces_and_underscores() -> None:
    lane = UsageLane()
    for number, name in enumerate(["report_shared", "Report  Shared", "REPORT-SHARED", "Reportshared"]):
        lane.event(f"e{number}", name=name)

    assert lane.state.accounts["acme"].today("value") == 3


def test_late_events_leave_the_state_as_if_they_had_been_on_time() -> None:
    rnd = random.Random(7)
    events = []
    for number in range(400):
        when = at(rnd.randrange(20), rnd.randrange(24)) + number
        changes: dict[str, Any] = {"name": rnd.choice(["Viewed", "Report Shared", "Viewed"])}
        match rnd.randrange(12):
            case 0:
                changes = {"name": "Ticket Opened", "properties": {"ticket_id": rnd.randrange(6)}}
            case 1:
                changes = {"name": "Ticket Closed", "properties": {"ticket_id": rnd.randrange(6)}}
            case 2:
                changes = {"name": "NPS Submitted", "properties": {"score": rnd.randrange(11)}}
            case 3:
                changes = {"kind": "GROUP", "properties": {"seats": rnd.randrange(99), "owner": rnd.choice("ab")}}
        events.append((f"e{number}", rnd.choice(["acme", "umbrella"]), rnd.choice("abcdef"), when, changes))
    on_time, late = UsageLane(), UsageLane()
    events.sort(key=lambda e: e[3])
    held = {n for n in range(len(events)) if rnd.random() < 0.4}
    for day in range(21):
        for number, (event_id, account, user, when, changes) in enumerate(events):
            if when // 86_400_000 - DAY == day:
                on_time.event(event_id, account, user, when, **changes)
                if number not in held:
                    late.event(event_id, account, user, when, **changes)
        on_time.close(day)
        late.close(day)
    for number in rnd.sample(sorted(held), len(held)):
        event_id, account, user, when, changes = events[number]
        late.event(event_id, account, user, when, received_at=at(21), **changes)
    on_time.close(21)
    late.close(21)

    for name, expected in on_time.state.accounts.items():
        found = late.state.accounts[name]
        assert days_of(found) == days_of(expected)
        assert (found.active_users.known, found.active_users.bits) == (
            expected.active_users.known,
            expected.active_users.bits,
        )
        for field in ("cases", "survey_answers", "milestones", "last_active_day"):
            assert getattr(found, field) == getattr(expected, field), field
        assert found.facts is not None
        assert expected.facts is not None
        assert found.facts.values == expected.facts.values
        one, two = on_time.snapshots(name)[-1], late.snapshots(name)[-1]
        for part in ("measures", "dates", "lowest_user", "facts", "score_tenths"):
            assert one[part] == two[part], part
    assert late.state.ledger.late_applied == len(held)


def test_a_late_event_restates_visibly() -> None:
    lane = UsageLane()
    lane.event("e1")
    lane.close(0)
    lane.event("e2", user="bob", when=at(0, 1), received_at=at(1, 1))
    lane.tick(at(1, 1) + 1000)
    last = lane.snapshots()[-1]

    assert last["reason"] == "RESTATED"
    assert measures(last)["active_users_7"] == 2
    assert last["trigger_received_at"] == at(1, 1)


def test_tickets_in_any_order_lead_to_the_same_state() -> None:
    steps = [("Ticket Opened", 1), ("Ticket Closed", 3), ("Ticket Opened", 5), ("Ticket Opened", 2)]
    ends = set()
    for order in itertools.permutations(steps):
        lane = UsageLane(start=at(0, 8))
        for name, hour in order:
            lane.event(f"e{hour}", when=at(0, hour), received_at=at(0, 8), name=name, properties={"ticket_id": "t"})
        lane.tick(at(0, 9))
        said = measures(lane.snapshots()[-1])
        names = ("tickets_open", "oldest_ticket_days", "tickets_opened_28", "tickets_closed_28")
        ends.add(tuple(said[name] for name in names))

    assert ends == {(1, 0, 3, 1)}


def test_the_latest_answer_of_each_person_counts() -> None:
    lane = UsageLane(start=at(0, 8))
    for number, (user, hour, score) in enumerate(
        [("ann", 5, 9), ("ann", 3, 2), ("bob", 4, 6), ("cid", 1, 3), ("cid", 2, 8)]
    ):
        lane.event(
            f"e{number}",
            user=user,
            when=at(0, hour),
            received_at=at(0, 8),
            name="NPS Submitted",
            properties={"score": score},
        )
    lane.tick(at(0, 9))

    last = lane.snapshots()[-1]
    said = measures(last)
    assert (said["survey_responses"], said["detractors"], said["lowest_answer"]) == (3, 1, 6)
    assert said["survey_mean"] == pytest.approx((9 + 6 + 8) / 3, rel=1e-5)
    assert last["lowest_user"] == "bob"


def test_answers_without_a_user_are_of_several_people_and_a_repeated_one_is_not() -> None:
    """Such as those of an anonymous survey: the promoter of today must not hide the detractor of yesterday."""
    lane = UsageLane(start=at(0, 8))
    for event_id, day, user, score in (("a", 0, "", 2), ("b", 0, "", 10), ("c", 0, "ann", 2), ("b", 2, "", 10)):
        lane.event(
            event_id,
            user=user,
            when=at(0, 8),
            received_at=at(day, 8),
            name="NPS Submitted",
            properties={"score": score},
        )
    lane.tick(at(2, 9))

    last = lane.snapshots()[-1]
    said = measures(last)
    assert lane.state.ledger.duplicates == 0  # it came back after the window of ids
    assert (said["survey_responses"], said["detractors"], said["lowest_answer"]) == (3, 2, 2)
    assert said["survey_mean"] == pytest.approx(14 / 3, rel=1e-5)
    assert last["lowest_user"] == "ann"


def test_of_an_answer_without_a_user_nobody_is_named() -> None:
    lane = UsageLane(start=at(0, 8))
    lane.event("a", user="", when=at(0, 8), name="NPS Submitted", properties={"score": 2})
    lane.tick(at(0, 9))

    last = lane.snapshots()[-1]
    assert (last["lowest_user"], measures(last)["detractors"]) == ("", 1)


def test_an_answer_of_staff_is_none_of_the_customers() -> None:
    lane = UsageLane(start=at(0, 8))
    for user, score, internal in (("ann", 9, False), ("staff", 0, True)):
        lane.event(user, user=user, when=at(0, 8), name="NPS Submitted", properties={"score": score}, internal=internal)
    lane.tick(at(0, 9))

    said = measures(lane.snapshots()[-1])
    assert (said["survey_responses"], said["detractors"], said["lowest_answer"]) == (1, 0, 9)


def test_permuted_duplicates_give_the_same_counts() -> None:
    rnd = random.Random(11)
    events = [(f"e{n}", rnd.choice(["a", "b"]), rnd.choice("xyz"), at(0, rnd.randrange(20))) for n in range(60)]
    ends = set()
    for _ in range(10):
        lane = UsageLane(start=at(0, 21))
        order = events + rnd.choices(events, k=40)
        rnd.shuffle(order)
        for event_id, account, user, when in order:
            lane.event(event_id, account, user, when, received_at=at(0, 21))
        lane.tick(at(1, 3))
        ends.add((str(sorted((n, days_of(a)) for n, a in lane.state.accounts.items())), lane.state.ledger.duplicates))

    assert len(ends) == 1


def test_every_event_is_in_exactly_one_count() -> None:
    lane = UsageLane()
    sent = 0
    for number, changes in enumerate(
        [
            {},
            {"environment": "dev"},
            {"when": at(-300)},
            {"kind": "UNKNOWN"},
            {"name": "Ticket Opened"},
            {"kind": "GROUP"},
            {"kind": "PAGE"},
        ]
        * 3
    ):
        lane.event(f"e{number % 7}", **changes)  # type: ignore[arg-type]
        sent += 1

    ledger = lane.state.ledger
    assert ledger.received == sent
    assert ledger == LedgerCounters(applied=3, duplicates=14, too_late=1, non_production=1, dead_lettered=2, ticks=1)


def test_the_people_cap_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.scorer.domain.accounts.active_users.MAX_PEOPLE", 2)
    lane = UsageLane()
    for number in range(5):
        lane.event(f"e{number}", user=f"u{number}")
        lane.event(f"late{number}", user=f"u{number}", when=at(-2))

    assert lane.state.ledger.people_dropped == 6
    assert active(lane) == {0: (5, 2), -2: (5, 2)}


def test_the_ticket_cap_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.scorer.domain.accounts.cases.MAX_CASES", 2)
    lane = UsageLane()
    for number in range(4):
        lane.event(f"e{number}", name="Ticket Opened", properties={"ticket_id": number})
    lane.event("e9", name="Ticket Closed", properties={"ticket_id": 0}, when=at(0, 2))
    lane.event("e10", name="Ticket Opened", properties={"ticket_id": 9}, when=at(0, 3))

    assert lane.state.ledger.cases_dropped == 2
    assert sorted(lane.state.accounts["acme"].cases_of(0)) == ["1", "9"]


def test_an_account_that_rests_is_evaluated_every_four_weeks_without_end_and_wakes_when_touched() -> None:
    lane = UsageLane()
    lane.event("e1")
    lane.event("e2", account="waiting", name="Ticket Opened", properties={"ticket_id": 1})
    lane.event("e4", account="paying", kind="GROUP", properties={"revenue": 100})
    for day in range(580):
        lane.close(day)
    closed = [s["day"] - DAY for s in lane.snapshots("paying") if s["reason"] == "DAY_CLOSE"]
    assert closed == [*range(43), *range(49, 256, 7), *range(280, 580, 28)]
    assert len([s for s in lane.snapshots("waiting") if s["reason"] == "DAY_CLOSE"]) == 580

    lane.event("e3", account="paying", when=at(580, 1))
    lane.close(580)
    assert lane.snapshots("paying")[-1]["day"] == DAY + 580
    assert active(lane, "paying") == {580: (1, 1)}


def test_a_former_employee_of_the_ring_is_gone_after_256_days() -> None:
    lane = UsageLane()
    lane.event("e1", user="old")
    for day in range(258):
        lane.close(day)
    lane.event("e2", user="new", when=at(258, 1))
    lane.close(258)

    assert len(lane.state.accounts["acme"].active_users) == 1
    assert measures(lane.snapshots("acme")[-1])["active_users_28"] == 1


def test_a_reopened_lane_is_the_same_lane() -> None:
    lane = UsageLane()
    for number in range(50):
        lane.event(f"e{number}", f"acct-{number % 5}", f"u{number % 7}", at(number // 10, number % 10))
        if number % 10 == 9:
            lane.close(number // 10)
    records = lane.state_records()
    other = lane.reopened()
    for each in (lane, other):
        each.event("e3", "acct-3", "u3", at(5, 1))
        each.event("new", "acct-1", "u9", at(5, 1))
        each.tick(at(5, 2))
        each.close(5)

    assert other.out == lane.out[-len(other.out) :]
    assert {k for k in records if k[:2] in {HOT, COLD}} == {
        p + f"acct-{n}".encode() for p in (HOT, COLD) for n in range(5)
    }
    assert other.state.ledger == lane.state.ledger


def test_an_event_is_a_value_and_stays_as_it_was() -> None:
    given = make("e1", properties={"a": 1})
    lane = UsageLane()
    copy = dict(given)
    lane.fold.event(given, given["received_at"], 0, None, 0)

    assert given == copy


def test_a_step_of_a_day_close_stays_small_however_many_people_the_accounts_have() -> None:
    """Steps counted by accounts alone would make one transaction of what thousands of people left behind."""
    lane = UsageLane()
    for number in range(120):
        lane.event(f"e{number}", account=f"a{number:03}")
        for person in range(1_500):
            lane.state.accounts[f"a{number:03}"].active_users.mark((person + 1) << 40 | number)
    lane.state_records()
    steps = lane.fold.controls.tick(tick(at(2)), at(2), 9_999, 0) or ()
    sizes = [sum(len(value or b"") for _, value in lane.state.take_changes()) for _ in steps]

    assert sum(sizes) > 4 << 20
    assert max(sizes) < 2 << 20
