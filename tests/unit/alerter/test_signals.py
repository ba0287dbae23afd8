"""What each shipped rule does over the days of one account: fires, rises, clears, and stays silent where it must."""

from __future__ import annotations

from typing import Any

import pytest

from services.alerter.domain.folding import fold_snapshot
from services.shared.units import DAY_MS
from tests.support.alerter import RULES, START_DAY, play, silent, snapshot, told

SLOW: dict[str, Any] = {"level_4w": 0.4, "level_2w": 0.6, "level_1w": 0.6, "chance_low_4w": 0.02}
FRACTION: dict[str, Any] = {**SLOW, "level_4w": 0.2, "chance_low_4w": 0.005}
GOOD_DAYS = 15
"""Days until a fall that is over is said to be."""


def test_a_healthy_steady_account_has_no_signal_and_no_state() -> None:
    folded = fold_snapshot(RULES, None, snapshot())

    assert folded == (None, (), 0)


def test_a_slow_decline_is_shown_after_three_days_warns_below_a_third_and_clears_after_a_good_fortnight() -> None:
    signals = play([{}] * 2 + [SLOW] * 5 + [FRACTION] * 2 + [{}] * GOOD_DAYS)

    assert told(signals) == [
        (5, "usage_decline", "FIRING", "INFO"),
        (7, "usage_decline", "UPDATED", "WARNING"),
        (23, "usage_decline", "RESOLVED", "recovered"),
    ]
    assert [s["transition_number"] for s in signals] == [1, 2, 3]
    start = (START_DAY + 6) * DAY_MS + 1_000
    assert signals[0]["signal_id"] == f"acme:usage_decline:{start}:1"
    assert {s["episode_id"] for s in signals} == {f"acme:usage_decline:{start}"}


def test_little_more_than_half_of_the_usual_use_warns_where_chance_hardly_gives_it() -> None:
    steady = {**SLOW, "level_4w": 0.55, "chance_low_4w": 0.001}

    assert told(play([steady] * 5)) == [(3, "usage_decline", "FIRING", "WARNING")]
    assert play([{**steady, "chance_low_4w": 0.01}] * 5) == []


def test_a_fall_that_goes_on_warns_of_a_team_that_works_day_by_day() -> None:
    falling = {**SLOW, "level_4w": 0.55, "level_2w": 0.4, "chance_low_2w": 0.01, "chance_low_4w": 0.03}

    assert told(play([falling] * 5)) == [(3, "usage_decline", "FIRING", "WARNING")]
    assert told(play([{**falling, "days_per_person": 1.2}] * 5)) == [(3, "usage_decline", "FIRING", "INFO")]
    assert play([{**falling, "level_2w": 0.5}] * 5) == []


def test_a_smaller_fall_warns_where_people_are_fewer_as_well() -> None:
    smaller = {**SLOW, "level_4w": 0.62, "chance_low_4w": 0.01, "active_users_28": 4, "active_users_28_usual": 5.0}

    assert told(play([smaller] * 5)) == [(3, "usage_decline", "FIRING", "WARNING")]
    assert play([{**smaller, "active_users_28": 5}] * 5) == []
    assert play([{**smaller, "chance_low_4w": 0.03}] * 5) == []


def test_one_person_who_comes_nearly_every_day_is_warned_of_below_half() -> None:
    alone = {**SLOW, "usual_week": 3.5, "days_per_person": 3.5, "level_4w": 0.45, "chance_low_4w": 0.001}

    assert told(play([alone] * 5)) == [(3, "usage_decline", "FIRING", "WARNING")]
    assert told(play([{**alone, "level_4w": 0.55}] * 5)) == [(3, "usage_decline", "FIRING", "INFO")]
    assert told(play([{**alone, "days_per_person": 2.5}] * 5)) == [(3, "usage_decline", "FIRING", "INFO")]


def test_a_fall_where_people_come_and_go_is_only_shown() -> None:
    crowd = {"days_per_person": 1.2}
    sudden = {"level_1w": 0.1, "level_2w": 0.4, "level_4w": 0.8, "chance_low_2w": 0.00001}

    assert told(play([{**FRACTION, **crowd}] * 5)) == [(3, "usage_decline", "FIRING", "INFO")]
    assert told(play([{**sudden, **crowd}] * 4)) == [(2, "usage_decline_fast", "FIRING", "INFO")]


def test_a_sudden_drop_is_shown_after_two_days_and_warns_where_it_is_far_beyond_chance() -> None:
    drop = {"level_1w": 0.1, "level_2w": 0.6, "level_4w": 0.8}
    fall = {**drop, "level_2w": 0.4, "chance_low_2w": 0.00001}

    assert told(play([{}, drop, drop, drop])) == [(3, "usage_decline_fast", "FIRING", "INFO")]
    assert told(play([{}, fall, fall, fall])) == [(3, "usage_decline_fast", "FIRING", "WARNING")]


def test_the_two_hours_within_which_a_day_is_closed_do_not_make_a_rule_a_day_late() -> None:
    state = None
    signals: list[dict[str, Any]] = []
    for day, hour in enumerate([2.0, 0.5, 1.0, 0.0]):
        folded = fold_snapshot(RULES, state, snapshot(day, hour=hour, **SLOW))
        state = folded.state
        signals += folded.signals

    assert told(signals) == [(3, "usage_decline", "FIRING", "INFO")]


def test_one_good_day_starts_the_clock_anew() -> None:
    assert told(play([SLOW, SLOW, SLOW, {}, SLOW, SLOW, SLOW])) == []


def test_silence_fires_past_the_own_pauses_and_is_critical_after_three_weeks() -> None:
    a_visit = {"active_days_7": 2, "level_1w": 0.2, "level_2w": 0.1, "level_4w": 0.05}

    signals = play([silent(n) for n in range(30)] + [a_visit] * 3 + [{}] * GOOD_DAYS)

    mine = [entry for entry in told(signals) if entry[1] == "usage_silent"]
    assert mine == [
        (8, "usage_silent", "FIRING", "WARNING"),
        (21, "usage_silent", "UPDATED", "CRITICAL"),
        (43, "usage_silent", "RESOLVED", "recovered"),
    ]


def test_silence_takes_the_place_of_the_declines_that_came_before_it() -> None:
    signals = play([silent(n) for n in range(30)] + [{}] * GOOD_DAYS)

    assert told(signals) == [
        (7, "usage_decline_fast", "FIRING", "INFO"),
        (8, "usage_silent", "FIRING", "WARNING"),
        (8, "usage_decline_fast", "RESOLVED", "inhibited"),
        (21, "usage_silent", "UPDATED", "CRITICAL"),
        (40, "usage_silent", "RESOLVED", "recovered"),
    ]
    replaced = next(s for s in signals if s["resolved_reason"] == "inhibited")
    assert replaced["summary"] == "Closed because another signal now says more: Nobody is active any more."
    assert replaced["action"] == ""


def test_a_signal_that_was_replaced_names_the_other_by_the_title_that_it_has_now() -> None:
    fall = {"level_1w": 0.1, "level_2w": 0.4, "level_4w": 0.6, "chance_low_2w": 0.00001}

    signals = play([SLOW] * 5 + [fall] * 4)

    stronger = next(s for s in signals if s["rule"] == "usage_decline_fast")
    replaced = next(s for s in signals if s["resolved_reason"] == "inhibited")
    assert (stronger["severity"], stronger["title"]) == ("WARNING", "Use has fallen far")
    assert replaced["summary"] == "Closed because another signal now says more: Use has fallen far."


def test_after_a_silence_its_echo_in_the_longer_windows_is_no_second_signal() -> None:
    back = {"active_days_7": 5, "level_1w": 1.0, "level_2w": 0.6}
    echo = [{**back, "level_4w": 0.3 + 0.05 * n} for n in range(26)]

    signals = play([silent(n) for n in range(16)] + echo)

    assert [entry[1:] for entry in told(signals) if entry[0] >= 16] == [("usage_silent", "RESOLVED", "recovered")]


@pytest.mark.parametrize("level_on_one_day", [0.8, 0.45])
def test_a_weaker_rule_stays_quiet_from_the_end_of_the_stronger_one_whether_it_wanted_to_fire_before_or_not(
    level_on_one_day: float,
) -> None:
    stopped = {"level_1w": 0.2, "level_2w": 0.4}
    days = [{**stopped, "level_4w": level_on_one_day if day == 10 else 0.8} for day in range(20)]

    signals = play([*days, *[{}] * 16, *[SLOW] * 14])

    assert told(signals)[-2:] == [
        (34, "usage_decline_fast", "RESOLVED", "recovered"),
        (48, "usage_decline", "FIRING", "INFO"),
    ]


def test_an_account_with_long_pauses_of_its_own_is_not_silent_within_them() -> None:
    assert (
        play(
            [
                {**silent(n), "level_1w": 0.6, "level_2w": 0.6, "level_4w": 0.8, "silence_limit_days": 21}
                for n in range(22)
            ]
        )
        == []
    )


def test_silence_that_chance_explains_does_not_fire() -> None:
    quiet = {"silent_days": 9, "chance_low_1w": 0.3, "expected_1w": 1.5, "expected_4w": 6.0}

    assert play([quiet] * 4) == []


def test_the_silence_of_a_small_account_is_only_shown_and_only_once_four_of_its_days_are_missing() -> None:
    small = {"usual_week": 0.6, "expected_4w": 2.4, "expected_2w": 1.2, "expected_1w": 0.6}

    signals = play([{**silent(n), **small, "expected_in_silence": 0.6 * n / 7} for n in range(60)] + [{}])

    assert told(signals) == [
        (47, "small_account_silent", "FIRING", "INFO"),
        (60, "small_account_silent", "RESOLVED", "recovered"),
    ]


def test_a_new_account_has_no_usage_risk() -> None:
    young = {"baseline_weeks": 7, "band": "LEARNING", "dates": {"first_activity": START_DAY - 40}}

    assert play([{**silent(n), **young} for n in range(40)]) == []


def test_a_dip_of_all_customers_holds_usage_signals_back() -> None:
    dip = {"fleet_level": 0.4}

    assert play([{**silent(n), **dip} for n in range(20)] + [{}] * 5) == []


def test_a_dip_of_all_customers_neither_clears_nor_escalates_what_is_open() -> None:
    dip = {"fleet_level": 0.4}

    signals = play([SLOW] * 4 + [{**dip, "level_4w": 0.1}] * 5 + [{**dip, "level_4w": 1.0}] * 19 + [{}] * GOOD_DAYS)

    assert told(signals) == [(3, "usage_decline", "FIRING", "INFO"), (42, "usage_decline", "RESOLVED", "recovered")]


def test_a_cooldown_keeps_the_same_signal_back_for_four_weeks() -> None:
    signals = play([SLOW] * 4 + [{}] * GOOD_DAYS + [SLOW] * 40)

    assert [entry[:3] for entry in told(signals)] == [
        (3, "usage_decline", "FIRING"),
        (18, "usage_decline", "RESOLVED"),
        (46, "usage_decline", "FIRING"),
    ]


def test_a_cooldown_ends_early_for_a_higher_severity() -> None:
    signals = play([SLOW] * 4 + [{}] * GOOD_DAYS + [FRACTION] * 5)

    assert told(signals)[2:] == [(22, "usage_decline", "FIRING", "WARNING")]
    assert len({s["signal_id"] for s in signals}) == 3


def test_fewer_people_fire_after_a_week_only_where_two_or_more_are_lost() -> None:
    fewer = {**SLOW, "active_users_28": 3, "active_users_28_usual": 5.0}
    one_less = {**SLOW, "active_users_28": 2, "active_users_28_usual": 3.0}

    assert told(play([fewer] * 8))[-1] == (7, "active_users_falling", "FIRING", "INFO")
    assert {rule for _, rule, *_ in told(play([one_less] * 12))} == {"usage_decline"}


def test_fewer_people_who_do_as_much_as_before_are_no_risk() -> None:
    fewer = {"active_users_28": 3, "active_users_28_usual": 5.0}

    assert play([{**fewer, "level_4w": 0.7}] * 12) == []
    assert play([fewer] * 12) == []


def test_fewer_people_are_a_risk_no_more_once_they_do_as_much_as_before() -> None:
    fewer = {"active_users_28": 3, "active_users_28_usual": 5.0}

    signals = play([{**fewer, "level_4w": 0.3}] * 8 + [{**fewer, "level_4w": 0.8}] * 8)

    assert told(signals)[-1] == (15, "active_users_falling", "RESOLVED", "recovered")


def test_what_is_only_shown_raises_no_other_alarm() -> None:
    renewal = {**SLOW, "facts__renewal_day": START_DAY + 60}

    assert {s["rule"] for s in play([renewal] * 10)} == {"usage_decline"}
    assert {s["severity"] for s in play([renewal] * 10)} == {"INFO"}


def test_seats_are_not_offered_to_an_account_that_declines_though_that_is_only_shown() -> None:
    nearly = {**SLOW, "facts__seats": 6, "active_users_28": 5}

    assert {s["rule"] for s in play([nearly] * 20)} == {"usage_decline"}


def test_an_open_signal_expires_and_stays_quiet_until_its_cause_has_been_gone_once() -> None:
    gone = [silent(20 + n) for n in range(260)]

    signals = [s for s in play(gone) if s["rule"] == "usage_silent"]

    assert [(s["transition"], s["resolved_reason"]) for s in signals] == [
        ("FIRING", ""),
        ("UPDATED", ""),
        ("RESOLVED", "expired"),
    ]
    # it rose to critical meanwhile
    assert signals[-1]["summary"] == "Closed because it was open for 180 days. Its cause may still be there."


@pytest.mark.parametrize("dip_on", [185, 178], ids=["after its end", "at its end"])
def test_a_dip_of_all_customers_is_no_end_of_the_cause_of_a_signal_that_expired(dip_on: int) -> None:
    stuck = {"level_4w": 0.4, "level_2w": 0.6, "level_1w": 0.6}
    as_usual_in_a_dip = {"level_4w": 1.0, "fleet_level": 0.4}
    days = [as_usual_in_a_dip if dip_on <= day < dip_on + 8 else stuck for day in range(240)]

    assert [entry for entry in told(play(days)) if entry[1] == "usage_decline"] == [
        (3, "usage_decline", "FIRING", "WARNING"),
        (183, "usage_decline", "RESOLVED", "expired"),
    ]


def test_the_summary_says_what_a_person_of_customer_success_would_say() -> None:
    signal = play([{**SLOW, "level_4w": 0.3, "expected_4w": 41.0}] * 4)[0]

    assert signal["summary"] == (
        "Use is at 30 % of this account's usual level: 12 user-days in four weeks, 41 expected "
        "(its 30-week norm, adjusted for holidays of all customers)."
    )
    assert signal["evidence"][0] == {"name": "user_days_4w", "value": 12.0, "usual": 41.0}


def test_what_a_backfill_caused_says_so() -> None:
    assert {s["historical"] for s in play([{**SLOW, "historical": True}] * 4)} == {True}


def test_facts_of_the_account_go_with_the_signal() -> None:
    facts = {
        "facts__name": "Acme {Inc}",
        "facts__owner": "Kim",
        "facts__revenue": 12000.0,
        "facts__renewal_day": 30_000,
    }

    signal = play([{**SLOW, **facts}] * 4)[0]

    assert (signal["account_name"], signal["owner"], signal["revenue"], signal["renewal_day"]) == (
        "Acme {Inc}",
        "Kim",
        12000.0,
        30_000,
    )
