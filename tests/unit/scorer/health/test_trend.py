"""The trend against independent computations: exact negative binomial tails, and sums done by hand."""

from __future__ import annotations

import math

import pytest

from services.scorer.domain.health.trend import FLEET_DISPERSION, baseline, guard, trend, window


def negative_binomial_low(count: int, mean: float, dispersion: float) -> float:
    """P(X <= count) where the variance is dispersion times the mean, summed term by term."""
    size = mean / (dispersion - 1)
    p = 1 / dispersion
    return math.fsum(
        math.exp(
            math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1) + size * math.log(p) + k * math.log(1 - p)
        )
        for k in range(count + 1)
    )


@pytest.mark.parametrize(("expected", "count", "exact", "power"), [(40, 20, 0.0133, 0.0155), (6, 0, 0.026, 0.030)])
def test_the_guard_has_the_published_figures(expected: float, count: int, exact: float, power: float) -> None:
    assert negative_binomial_low(count, expected, 2.5) == pytest.approx(exact, rel=0.02)
    assert guard(count + 0.5, expected, 2.5) == pytest.approx(power, rel=0.01)


@pytest.mark.parametrize("expected", [4, 6, 10, 20, 40, 100, 400])
@pytest.mark.parametrize("dispersion", [1.2, 1.5, 2.5, 4.0])
def test_the_guard_never_claims_far_more_than_the_exact_tail_knows(expected: float, dispersion: float) -> None:
    for count in range(int(expected)):
        exact = negative_binomial_low(count, expected, dispersion)
        if 0.001 < exact < 0.1:
            assert 0.75 < guard(count + 0.5, expected, dispersion) / exact < 3.5, (expected, dispersion, count, exact)


def test_a_window_is_held_against_rate_times_exposure() -> None:
    factors = [0.5, 1.0, 0.8, 1.0] + [1.0] * 32
    weekly = [4, 10, 8, 10] + [10] * 32
    windows, learned = trend(weekly, factors, own_weeks=36)

    four = windows[2]
    assert learned.weeks == 30
    assert learned.rate == pytest.approx(10)
    assert four.active == 32
    assert four.expected == pytest.approx(10 * 3.3)
    assert four.ratio == pytest.approx(32.5 / 33.5)
    assert windows[0].expected == pytest.approx(5.0, rel=0.02)


def test_a_holiday_in_the_baseline_does_not_lower_what_is_expected() -> None:
    quiet = trend([10] * 4 + [10] * 28 + [3, 3] + [10] * 2, [1.0] * 32 + [0.3, 0.3] + [1.0] * 2, 36)[0][2]

    assert quiet.expected == pytest.approx(40)


def test_dispersion_is_shrunk_toward_that_of_all_accounts() -> None:
    even = baseline([10] * 30, [1.0] * 30)
    wild = baseline([0, 20] * 15, [1.0] * 30)

    assert even.dispersion == pytest.approx((30 * 1 + 10 * FLEET_DISPERSION) / 40)
    assert wild.dispersion == pytest.approx((30 * 10 + 10 * FLEET_DISPERSION) / 40)


def test_without_a_baseline_nothing_is_unusual() -> None:
    windows, learned = trend([7] * 36, [1.0] * 36, own_weeks=1)

    assert learned.weeks == 0
    assert windows[0] == (1, 7, 7.0, 1.0, 1.0, 1.0)


def test_an_account_that_never_did_anything_is_not_unusual() -> None:
    windows, _ = trend([0] * 36, [1.0] * 36, own_weeks=36)

    assert all((w.expected, w.p_low, w.p_high, w.ratio) == (0, 1, 1, 1) for w in windows)


def test_more_than_expected_shows_in_the_upper_chance() -> None:
    much = window(4, 80, baseline([10] * 30, [1.0] * 30), [1.0] * 4)
    usual = window(4, 40, baseline([10] * 30, [1.0] * 30), [1.0] * 4)

    assert much.p_high < 0.001 < much.p_low
    assert 0.4 < usual.p_high < 0.6
    assert 0.4 < usual.p_low < 0.6


def test_a_short_baseline_makes_the_same_fall_less_sure() -> None:
    long, short = (window(4, 20, baseline([10] * n, [1.0] * n), [1.0] * 4) for n in (30, 8))

    assert short.p_low > long.p_low
