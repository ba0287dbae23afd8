"""The score and its explanation: exact sums, caps, coverage, bands with hysteresis, stages."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.measures import MEASURES
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.accounts.survey_answers import Answers, sentiment
from services.scorer.domain.health.bands import band_of, next_band
from services.scorer.domain.health.known import Known, Support
from services.scorer.domain.health.lifecycle_stage import first_start, stage, start_day
from services.scorer.domain.health.measuring import measures_of
from services.scorer.domain.health.model import DIMENSIONS, STAGES, MeasureRule, read_model
from services.scorer.domain.health.rounding import shared_out
from services.scorer.domain.health.score import CAP, Health, health
from services.scorer.domain.health.trend import trend
from services.scorer.domain.health.usage import Usage
from services.shared.plan_file import default_plan
from services.shared.tracking_plan.state_names import WELL_KNOWN
from services.shared.units import DAY_MS, HOUR_MS
from tests.support.scorer import DAY, MODEL, at

QUIET = Support(0, 0, 0.0, 0, 0)
SURVEY = MEASURES["survey_mean"].number


def of(
    usage: Usage, support: Support = QUIET, answers: Answers | None = None, stage: str = "ONGOING", **facts: int | None
) -> Known:
    """Return what is known of an account that began 30 days ago."""
    said = sentiment(answers, at())
    return Known(
        Account("acme", DAY, kinds_of(default_plan())), at(), DAY, usage, support, said, {**dict.fromkeys(WELL_KNOWN), **facts}, stage, DAY - 30, DAY - 30, -1, 1.0,
        {"answers.nps": said.latest_at},
    )  # fmt: skip


def scored(facts: Known, connected: frozenset[str], before: dict[int, int] | None = None) -> Health:
    return health(measures_of(facts), facts.stage, MODEL, connected, before or {})


shares_lists = st.lists(st.floats(0, 1000), min_size=0, max_size=15)


def known(draw: st.DrawFn) -> Known:
    weeks = draw(st.integers(0, 36))
    windows, learned = trend(draw(st.lists(st.integers(0, 40), min_size=36, max_size=36)), [1.0] * 36, weeks)
    silent, gap = draw(st.integers(-1, 200)), draw(st.integers(0, 20))
    month, usual = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    usage = Usage(
        DAY, silent, 1, 1, 1, gap, max(0, min(30, weeks - 4)), windows, learned, 0, 0, 0, month, month, 0.0, float(usual), float(usual), 0, draw(st.integers(0, 4)), False
    )  # fmt: skip
    support = Support(draw(st.integers(0, 12)), at() - draw(st.integers(0, 10**9)), 0.0, 0, 0)
    answers = {"ann": (at(), draw(st.integers(0, 10)))} if draw(st.booleans()) else None
    seats, renewal = draw(st.none() | st.integers(0, 50)), draw(st.none() | st.integers(DAY - 50, DAY + 50))
    return of(usage, support, answers, draw(st.sampled_from(STAGES)), seats=seats, renewal_day=renewal)


knowns = st.composite(known)()
connections = st.sets(st.sampled_from(DIMENSIONS)).map(frozenset)


@given(shares_lists)
def test_shares_add_up_exactly_and_none_is_off_by_a_tenth(shares: list[float]) -> None:
    rounded = shared_out(shares)

    assert sum(rounded) == math.floor(math.fsum(shares) + 0.5)
    assert all(abs(a - b) < 1 for a, b in zip(rounded, shares, strict=True))


@given(knowns, knowns, connections, connections)
def test_contributions_and_changes_add_up_exactly(
    first: Known, second: Known, before: frozenset[str], now: frozenset[str]
) -> None:
    one = scored(first, before)
    two = scored(second, now, one.shares)

    for each in (one, two):
        assert sum(m.contribution for m in each.parts) == each.score
        assert 0 <= each.score <= 1000
        weights = [m.weight for m in each.parts if m.weight]
        assert not weights or math.fsum(weights) == pytest.approx(1)
        if CAP not in {m.number for m in each.parts}:
            assert each.score == pytest.approx(math.fsum(10 * m.weight * m.score for m in each.parts), abs=0.51)
    assert sum(m.change for m in one.parts) == one.score
    assert sum(m.change for m in two.parts) == two.score - one.score
    assert len({m.number for m in two.parts}) == len(two.parts)


@given(knowns, connections)
def test_coverage_counts_only_connected_dimensions(facts: Known, connected: frozenset[str]) -> None:
    found = scored(facts, connected)
    dimensions = {each.number: each.dimension for each in MEASURES.values()}

    assert 0 <= found.coverage <= 1
    assert {dimensions[part.number] for part in found.parts if part.weight} <= connected


def test_a_measure_that_vanished_takes_its_points_with_it() -> None:
    usage = Usage(DAY, 0, 7, 7, 0, 1, 0, *trend([0] * 36, [1.0] * 36, 0), 0, 0, 3, 3, 3, 0.0, 3.0, 3.0, 0, 0, False)
    before = scored(of(usage, answers={"a": (at(), 9)}), frozenset(DIMENSIONS))
    after = scored(of(usage), frozenset(DIMENSIONS), before.shares)

    gone = next(part for part in after.parts if part.number == SURVEY)
    assert (gone.score, gone.contribution, gone.weight, gone.change) == (0, 0, 0.0, -before.shares[SURVEY])
    assert SURVEY not in after.shares  # or the next evaluation would differ from this one, and be news
    again = scored(of(usage), frozenset(DIMENSIONS), after.shares)
    assert SURVEY not in {part.number for part in again.parts}


@pytest.mark.parametrize(
    ("stage_", "capped"), [("ONGOING", True), ("RENEWAL", True), ("ADOPTION", True), ("ONBOARDING", False)]
)
def test_long_silence_caps_the_score_except_in_onboarding(stage_: str, capped: bool) -> None:
    usage = Usage(
        DAY,
        25,
        0,
        99,
        120,
        1,
        30,
        *trend([10] * 36, [1.0] * 36, 36),
        0,
        0,
        9,
        9,
        9,
        36.0,
        9.0,
        9.0,
        0,
        4,
        True,
    )
    found = scored(of(usage, answers={"a": (at(), 10)}, stage=stage_), frozenset(DIMENSIONS))

    assert (found.score == 400) == capped
    assert (CAP in {part.number for part in found.parts}) == capped


def silent(weekly: list[int]) -> Usage:
    """Return the usage of an account that is silent for 25 days and had so many user-days a week, the latest first."""
    return Usage(DAY, 25, 0, 99, 120, 1, 30, *trend(weekly, [1.0] * 36, 36), 0, 0, 0, 0, 9, 36.0, 9.0, 9.0, 0, 0, False)  # fmt: skip


def test_the_cap_on_silence_lifts_no_score_that_is_below_it() -> None:
    found = scored(of(silent([0] * 4 + [10] * 32)), frozenset({"usage", "breadth"}))

    assert found.score < 400
    assert CAP not in {part.number for part in found.parts}


def test_what_the_cap_takes_is_told_once_and_given_back_when_somebody_comes() -> None:
    answers: Answers = {"a": (at(), 10)}
    usage = Usage(DAY, 25, 0, 99, 120, 1, 30, *trend([10] * 36, [1.0] * 36, 36), 0, 0, 9, 9, 9, 36.0, 9.0, 9.0, 0, 4, True)  # fmt: skip
    capped = scored(of(usage, answers=answers), frozenset(DIMENSIONS))
    still = scored(of(usage, answers=answers), frozenset(DIMENSIONS), capped.shares)
    back = scored(of(usage._replace(silent_days=0), answers=answers), frozenset(DIMENSIONS), still.shares)

    cap = capped.shares[CAP]
    changes = [next(part.change for part in each.parts if part.number == CAP) for each in (capped, still, back)]
    assert cap < 0
    assert changes == [cap, 0, -cap]


def test_dimensions_that_are_not_connected_are_missed_by_nobody_and_those_that_are_are() -> None:
    usage = silent([10] * 36)
    weights = MODEL.stages["ONGOING"]

    assert scored(of(usage), frozenset({"usage", "breadth"})).coverage == 1
    assert scored(of(usage), frozenset({"usage", "breadth", "sentiment"})).coverage == pytest.approx(
        (weights["usage"] + weights["breadth"]) / (weights["usage"] + weights["breadth"] + weights["sentiment"])
    )


def test_where_all_that_is_known_has_no_weight_the_score_is_nothing_and_rests_on_nothing() -> None:
    model = msgspec.structs.replace(MODEL, stages={**MODEL.stages, "ONGOING": {"usage": 0.0, "breadth": 1.0}})
    values = measures_of(of(silent([10] * 36)))

    found = health(values, "ONGOING", model, frozenset({"usage"}), {})

    assert (found.score, found.coverage) == (0, 0)


def test_an_account_with_a_slow_rhythm_is_not_capped_by_it() -> None:
    usage = Usage(
        DAY,
        24,
        0,
        99,
        120,
        12,
        30,
        *trend([10] * 36, [1.0] * 36, 36),
        0,
        0,
        9,
        9,
        9,
        36.0,
        9.0,
        9.0,
        0,
        4,
        True,
    )

    assert CAP not in {part.number for part in scored(of(usage), frozenset(DIMENSIONS)).parts}


def test_points_lie_on_straight_lines_between_anchors() -> None:
    rule = MeasureRule(1, [(0, 0), (0.5, 40), (1, 90)])

    assert [rule.points(v) for v in (-1, 0, 0.25, 0.5, 0.75, 1, 9)] == [0, 0, 20, 40, 65, 90, 90]


def test_a_band_changes_only_when_the_score_stays_three_points_past_the_edge_for_a_day() -> None:
    band, since = next_band("GREEN", 0, 721, at())
    assert (band, since) == ("GREEN", 0)
    band, since = next_band(band, since, 720, at())
    assert (band, since) == ("GREEN", at())
    assert next_band(band, since, 700, at() + 22 * HOUR_MS) == ("GREEN", at())
    assert next_band(band, since, 730, at() + 22 * HOUR_MS) == ("GREEN", 0)
    assert next_band(band, since, 700, at() + 23 * HOUR_MS) == ("YELLOW", 0)  # the next close may be a little earlier
    assert next_band(band, since, 700, at() + 24 * HOUR_MS) == ("YELLOW", 0)


def test_a_score_that_leaps_from_one_edge_past_the_other_has_a_day_to_stay_there() -> None:
    """Somebody comes back after three weeks: the points that the silence took away are back at once."""
    band, since = next_band("YELLOW", 0, 400, at(), 600)
    assert (band, since) == ("YELLOW", at())
    band, since = next_band(band, since, 800, at() + 23 * HOUR_MS, 400)
    assert (band, since) == ("YELLOW", at() + 23 * HOUR_MS)
    assert next_band(band, since, 810, at() + 40 * HOUR_MS, 800) == ("YELLOW", at() + 23 * HOUR_MS)
    assert next_band(band, since, 810, at() + 47 * HOUR_MS, 800) == ("GREEN", 0)


@pytest.mark.parametrize(
    ("band", "score", "leaves"),
    [
        ("RED", 529, False),
        ("RED", 530, True),
        ("YELLOW", 779, False),
        ("YELLOW", 780, True),
        ("YELLOW", 471, False),
        ("YELLOW", 470, True),
        ("GREEN", 1000, False),
        ("RED", 0, False),
    ],
)
def test_each_edge_has_its_margin(band: str, score: int, leaves: bool) -> None:
    assert (next_band(band, 0, score, at())[1] != 0) == leaves


def test_learning_and_unknown_take_a_colour_at_once() -> None:
    assert next_band("LEARNING", 0, 499, at()) == ("RED", 0)
    assert next_band("UNKNOWN", 0, 750, at()) == ("GREEN", 0)
    assert [band_of(s) for s in (0, 499, 500, 749, 750, 1000)] == ["RED", "RED", "YELLOW", "YELLOW", "GREEN", "GREEN"]


@pytest.mark.parametrize(
    ("age", "first_value", "renewal", "expected"),
    [
        (10, -1, None, "ONBOARDING"), (10, 5, None, "ADOPTION"), (89, -1, None, "ONBOARDING"), (90, -1, None, "ONGOING"),
        (90, 5, 30, "RENEWAL"), (200, 5, 90, "RENEWAL"), (200, 5, 91, "ONGOING"), (200, 5, -1, "ONGOING"), (200, 5, 0, "RENEWAL"),
        (50, 5, 30, "ADOPTION"),
    ],
)  # fmt: skip
def test_stages_follow_age_value_and_renewal(age: int, first_value: int, renewal: int | None, expected: str) -> None:
    assert stage(DAY, DAY - age, first_value, None if renewal is None else DAY + renewal) == expected


def test_the_start_is_that_of_the_contract_before_that_of_activity() -> None:
    assert start_day(50, 40, 60) == 40
    assert start_day(50, None, 60) == 50
    assert start_day(-1, None, 60) is None
    assert stage(DAY, None, -1, None) == "ONBOARDING"


def test_a_contract_that_starts_ahead_is_the_start_of_an_account_that_was_never_active_alone() -> None:
    assert [start_day(50, 60, day) for day in (59, 60)] == [50, 60]
    assert start_day(-1, 60, 59) == 60


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], None),
        ([(100, 40)], 40),
        ([(100, 40), (400, 405)], 40),
        ([(100, 100), (128, 128), (159, 159)], 100),
        ([(100, 100), (113, 110)], 110),
        ([(100, 100), (114, 110)], 100),
        ([(100, 40), (113, 110)], 110),
        ([(50, 100), (110, 130)], 130),
        ([(100, 100), (400, 90)], 90),
        ([(100, 40), (400, None), (700, 710)], 710),
        ([(100, 40), (400, None)], None),
    ],
    ids=[
        "nothing", "one", "a year's next term", "months", "a correction", "no correction", "a correction of what was just told",
        "put off before it came", "an earlier one", "removed, then another", "removed",
    ],
)  # fmt: skip
def test_the_start_of_the_first_term_counts_and_corrections_of_it(
    said: list[tuple[int, int | None]], expected: int | None
) -> None:
    assert first_start([(day * DAY_MS, start) for day, start in said]) == expected


def test_every_mistake_in_a_model_is_named_at_once() -> None:
    broken = {
        "version": "x",
        "coverage_floor": 5,
        "silence_cap": -3,
        "silence_cap_days": 0,
        "stages": {"ONGOING": {"usage": -1, "moon": 2}, "LATER": {}},
        "measures": {
            "silence_level": {"weight": 0, "anchors": [[1, 0], [0, 200]]},
            "level_4w": {"weight": 1, "anchors": [[0, 100], [1, 0]]},
            "fleet_level": {"weight": 1, "anchors": [[0, 0]]},
            "level_1w": {"weight": 1, "anchors": [[float("-inf"), 0], [1, 100]]},
            "vibes": {"weight": 1, "anchors": [[0, 0]]},
        },
    }
    with pytest.raises(ValueError, match="stages") as error:
        read_model(broken, default_plan())

    text = str(error.value)
    for part in (
        "RENEWAL is missing",
        "LATER is unknown",
        "dimension moon",
        "ONGOING.usage: a weight is a number from 0",
        "LATER: give at least one dimension a weight",
        "coverage_floor: must be",
        "silence_cap: must be",
        "silence_cap_days: must be",
        "level_1w.anchors: values and points must be numbers",
        "vibes: a score cannot be made of it",
        "fleet_level: a score cannot be made of it",
        "level_4w.anchors: points must go with the measure: higher_is_better",
        "greater than 0",
        "must rise",
        "0 to 100",
    ):
        assert part in text, part
    with pytest.raises(ValueError, match="name at least one measure"):
        read_model({"version": "x", "stages": {}, "measures": {}}, default_plan())
    with pytest.raises(ValueError, match="anchors"):
        read_model({"version": "x", "stages": {}, "measures": {"a": {"weight": 1}}}, default_plan())
