"""What an account page works out of the days of an account: steps that add up, the band of usual weeks, what happened."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.account import happened, questions
from services.console.account.expected import expected
from services.console.account.fall import fall
from services.console.account.past import Day, Past
from services.scorer.domain.health.trend import baseline, window

LAST = date(2027, 3, 31)


def told(on: date, parts: dict[str, int] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a day as the API tells it; `parts` are tenths of a point by measure."""
    parts = {"level_4w": 500} if parts is None else parts
    measures = changes.pop("measures", {})
    return {
        "day": on.isoformat(),
        "band": "GREEN",
        "stage": "ONGOING",
        "score": sum(parts.values()) / 10,
        "parts": [
            {"name": name, "label": name, "unit": "share", "points": tenths / 10, "dimension": "usage" if name != "silence_cap" else ""}
            for name, tenths in parts.items()
        ],
        "measures": [{"name": name, "value": value} for name, value in measures.items()],
        "dates": {},
        "facts": {"owner": "Ann"},
        **changes,
    }  # fmt: skip


def past_of(*days: dict[str, Any], last: date = LAST) -> Past:
    return Past(sorted(days, key=lambda day: day["day"], reverse=True), last)


MEASURES = st.dictionaries(st.sampled_from("abcdef"), st.integers(-400, 1000), max_size=6)


@given(MEASURES, MEASURES)
def test_the_steps_between_two_days_add_up_to_the_change_exactly(before: dict[str, int], after: dict[str, int]) -> None:
    made = fall(Day(told(LAST, before)), Day(told(LAST, after)))

    assert made is not None
    assert made.start + sum(step.change for step in made.steps) == made.end == sum(after.values())
    assert [step.begins for step in made.steps[1:]] == [step.ends for step in made.steps[:-1]]
    assert all(step.change for step in made.steps)


def test_a_part_that_is_gone_takes_what_it_added_and_the_largest_fall_comes_first() -> None:
    made = fall(
        Day(told(LAST, {"a": 300, "b": 200, "c": 10})), Day(told(LAST, {"a": 150, "c": 40, "silence_cap": -90}))
    )

    assert made is not None
    assert [(step.name, step.change) for step in made.steps] == [
        ("b", -200),
        ("a", -150),
        ("silence_cap", -90),
        ("c", 30),
    ]


def test_without_a_score_there_is_nothing_to_compare() -> None:
    assert fall(Day(told(LAST, score=None)), Day(told(LAST))) is None
    assert fall(Day(told(LAST)), Day(told(LAST, band="LEARNING"))) is None


@given(MEASURES)
def test_the_layers_of_a_day_add_up_to_its_score(parts: dict[str, int]) -> None:
    day = Day(told(LAST, parts))

    assert sum(day.layers.values()) == round(day.told["score"] * 10)


@given(
    st.lists(st.integers(0, 60), min_size=8, max_size=30).filter(lambda counts: sum(counts) > 20),
    st.integers(0, 80),
)
def test_the_band_is_that_of_the_spread_that_the_scorer_learned(counts: list[int], count: int) -> None:
    learned = baseline(counts, [1.0] * len(counts))
    week = window(1, count, learned, [1.0])
    day = Day(
        told(
            LAST,
            measures={"user_days_1w": count, "expected_1w": week.expected, "chance_low_1w": week.p_low, "chance_high_1w": week.p_high},
        )
    )  # fmt: skip

    band = expected(day)

    assert band is not None
    assert band.low <= band.middle <= band.high
    root = (learned.dispersion * (1 + 1 / learned.weeks)) ** 0.5
    step = 1.6449 * week.expected ** (1 / 6) * root / 1.5
    if 1e-9 < week.p_low < 0.4 or 1e-3 < 1 - week.p_high < 0.4:
        assert band.high == pytest.approx((week.expected ** (2 / 3) + step) ** 1.5, rel=0.02)


def test_without_an_expected_week_there_is_no_band() -> None:
    assert expected(Day(told(LAST))) is None
    assert expected(Day(told(LAST, measures={"expected_1w": 0.0}))) == (0.0, 0.0, 0.0)


def test_a_day_without_a_snapshot_is_known_by_the_one_before() -> None:
    past = past_of(told(LAST - timedelta(days=7), {"a": 100}), told(LAST, {"a": 200}))

    found = past.on(LAST - timedelta(days=3))

    assert found is not None
    assert found.told["score"] == 10.0
    assert past.on(LAST - timedelta(days=8)) is None


def test_quiet_times_are_runs_of_days_under_the_level() -> None:
    levels = [0.9, 0.7, 0.6, 0.8, 0.7]
    days = [told(LAST - timedelta(days=4 - n), measures={"fleet_level": level}) for n, level in enumerate(levels)]

    assert past_of(*days).spans_below("fleet_level", 0.75) == [
        (LAST - timedelta(days=3), LAST - timedelta(days=2)),
        (LAST, LAST),
    ]


def test_changed_facts_milestones_answers_absences_and_holidays_are_read_out_of_the_days() -> None:
    dates = {
        "first_activity": "2026-01-01",
        "first_value": "2027-03-30",
        "absent_from": "2027-04-01",
        "absent_until": "2027-04-09",
    }
    past = past_of(
        told(LAST - timedelta(days=1), measures={"public_holidays_7": 0}),
        told(LAST, facts={"owner": "Bob"}, dates=dates, measures={"answer_age_days": 0, "public_holidays_7": 1}),
    )

    assert [(each.on, each.fact, each.before, each.after) for each in happened.facts_changed(past)] == [
        (LAST, "owner", "Ann", "Bob")
    ]
    assert happened.milestones(past) == [(date(2027, 3, 30), "first_value")]
    assert [on for on, _ in happened.answers(past)] == [LAST]
    assert happened.absences(past) == [(date(2027, 4, 1), date(2027, 4, 9))]
    assert happened.public_holidays(past) == [LAST]


def test_a_public_holiday_a_week_after_another_one_is_found() -> None:
    """Christmas and New Year's Day: the first leaves the last seven days as the second one comes."""
    christmas, new_year = date(2026, 12, 25), date(2027, 1, 1)
    days = [christmas + timedelta(days=n) for n in range(-1, 10)]
    counts = [sum(day - timedelta(days=7) < each <= day for each in (christmas, new_year)) for day in days]
    past = past_of(
        *(told(day, measures={"public_holidays_7": count}) for day, count in zip(days, counts, strict=True)),
        last=days[-1],
    )

    assert happened.public_holidays(past) == [christmas, new_year]


def test_transitions_of_one_episode_are_one_bar_with_the_highest_severity() -> None:
    common = {
        "episode_id": "e",
        "category": "RISK",
        "episode_started_at": "2027-03-01T09:00:00Z",
        "resolved_reason": "",
    }
    transitions = [
        {**common, "transition_number": 1, "transition": "FIRING", "severity": "WARNING", "at": "2027-03-01T09:00:00Z", "title": "a"},
        {**common, "transition_number": 2, "transition": "UPDATED", "severity": "CRITICAL", "at": "2027-03-05T09:00:00Z", "title": "b"},
        {**common, "transition_number": 3, "transition": "RESOLVED", "severity": "WARNING", "at": "2027-03-09T09:00:00Z", "title": "c", "resolved_reason": "recovered"},
    ]  # fmt: skip

    [found] = happened.episodes(transitions)
    [open_one] = happened.episodes(transitions[:1])

    assert (found.kind, found.first, found.last, found.resolved) == (
        "critical",
        date(2027, 3, 1),
        date(2027, 3, 9),
        "recovered",
    )
    assert found.signal["title"] == "b"
    assert open_one.last is None


@pytest.mark.parametrize(
    ("measures", "dates", "verdict"),
    [
        ({"fleet_level": 0.9, "public_holidays_7": 0}, {}, "no"),
        ({"fleet_level": 0.9}, {}, "holidays_unknown"),
        ({"fleet_level": 0.7}, {}, "fleet"),
        ({"fleet_level": 0.9, "calendar_level": 0.5, "public_holidays_7": 2}, {}, "holidays"),
        ({"fleet_level": 0.9, "calendar_level": 0.5, "public_holidays_7": 0}, {}, "leave"),
        ({"fleet_level": 0.9, "calendar_level": 0.5}, {}, "leave"),
        ({"fleet_level": 0.7}, {"absent_from": "2027-03-30", "absent_until": "2027-04-02"}, "away"),
        ({"fleet_level": 0.9}, {"absent_from": "2027-04-01", "absent_until": "2027-04-02"}, "holidays_unknown"),
        ({}, {}, "unknown"),
    ],
)
def test_whether_it_is_a_holiday(measures: dict[str, float], dates: dict[str, str], verdict: str) -> None:
    assert questions.rest(past_of(told(LAST, measures=measures, dates=dates))).verdict == verdict
