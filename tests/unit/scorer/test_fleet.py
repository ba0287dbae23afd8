"""The fleet factor: integers, a cap against giants, holidays, and what is left out."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from services.scorer.domain.fleet import EDGES_MILLI, PPM, FleetTally, FleetYear, decide, percentile_milli


def partial(
    tally: FleetTally, partition: int = 0, partitions: int = 1, connected: tuple[str, ...] = ()
) -> dict[str, object]:
    return {
        "day": 5, "segment": "all", "epoch": 0, "partition": partition, "partitions": partitions, "accounts": tally.accounts,
        "weight_sum": tally.weight_sum, "weighted_ratio_sum": tally.ratio_sum, "histogram": tally.counts(), "connected": list(connected),
    }  # fmt: skip


def test_the_factor_is_the_weighted_mean_of_capped_ratios() -> None:
    rnd = random.Random(1)
    accounts = [(rnd.randrange(60), rnd.randrange(1, 1500), rnd.randrange(4, 31)) for _ in range(200)]
    tallies = [FleetTally() for _ in range(3)]
    for number, (week, before, weeks) in enumerate(accounts):
        tallies[number % 3].add(week, before, weeks, 20_000)
    decision = decide([partial(t, n, 3) for n, t in enumerate(tallies)], [])

    weighted = [(math.sqrt(min(b / n, 20)), min(x * n / b, 2)) for x, b, n in accounts]
    expected = math.fsum(w * r for w, r in weighted) / math.fsum(w for w, _ in weighted)
    assert decision["factor_ppm"] / PPM == pytest.approx(expected, rel=1e-3)
    assert decision["accounts"] == 200
    ordered = sorted(b / n for _, b, n in accounts)
    assert ordered[179] <= decision["weight_cap_milli"] / 1000 <= ordered[179] * 2 ** (2 / 8)


def test_the_order_of_accounts_and_partitions_does_not_matter() -> None:
    accounts = [(n % 7, 30 + n, 4 + n % 20) for n in range(50)]
    one, two = FleetTally(), FleetTally()
    for account in accounts:
        one.add(*account, 0)
    for account in reversed(accounts):
        two.add(*account, 0)

    assert partial(one) == partial(two)
    assert decide([partial(one, 1, 2), partial(two, 0, 2)], ["b"]) == decide(
        [partial(two, 0, 2), partial(one, 1, 2)], ["b"]
    )


def test_with_fewer_than_ten_accounts_the_factor_is_one() -> None:
    tally = FleetTally()
    for _ in range(9):
        tally.add(0, 100, 10, 0)
    assert decide([partial(tally)], [])["factor_ppm"] == PPM

    tally.add(0, 100, 10, 0)
    assert decide([partial(tally)], [])["factor_ppm"] == 50_000


def test_one_giant_does_not_drive_the_factor() -> None:
    tally = FleetTally()
    for _ in range(99):
        tally.add(10, 100, 10, 15_000)
    tally.add(0, 1_000_000, 10, 15_000)

    assert decide([partial(tally)], [])["factor_ppm"] > 950_000


def test_what_was_connected_stays_connected() -> None:
    tally = FleetTally()

    assert decide([partial(tally, connected=("usage",))], ["support"])["connected"] == ["support", "usage"]


def test_buckets_are_eight_to_a_doubling() -> None:
    at_one = EDGES_MILLI.index(1000)

    assert [EDGES_MILLI[at_one + 8 * n] for n in range(5)] == [1000, 2000, 4000, 8000, 16000]
    assert all(
        later / before == pytest.approx(2 ** (1 / 8), rel=0.03)
        for before, later in itertools.pairwise(EDGES_MILLI[24:])
    )
    assert percentile_milli([]) == 0


def test_a_resumed_tally_goes_on_where_it_stood() -> None:
    whole, part = FleetTally(), FleetTally()
    for n in range(20):
        whole.add(n, 100 + n, 10, 0)
        part.add(n, 100 + n, 10, 0)
        part = FleetTally.of_state(part.state())

    assert partial(part) == partial(whole)


def test_an_undecided_day_takes_the_factor_of_the_day_before() -> None:
    year = FleetYear()
    year.learn(100, 700_000, 100)

    assert [year.factor_ppm(d) for d in (99, 100, 101, 113, 114)] == [PPM, 700_000, 700_000, 700_000, PPM]
    year.learn(100 + 256, 500_000, 100)
    assert year.factor_ppm(100) == PPM


def test_a_dip_is_one_against_what_is_usual_for_the_fleet() -> None:
    year = FleetYear()
    for week in range(40):
        year.learn(1000 + 7 * week, 800_000, 100)
    year.learn(1000 + 7 * 40, 200_000, 100)

    levels = year.levels(1000 + 7 * 40, 36)

    assert levels[0] == 0.25
    assert set(levels[1:]) == {1.0}


def test_weeks_with_too_few_accounts_say_nothing_about_what_is_usual() -> None:
    year = FleetYear()
    for week in range(40):
        year.learn(1000 + 7 * week, 600_000 if week % 2 else PPM, 100 if week % 2 else 9)

    assert set(year.levels(1000 + 7 * 39, 36)) == {1.0}


def test_without_eight_decided_weeks_the_usual_factor_is_one() -> None:
    year = FleetYear()
    for week in range(7):
        year.learn(1000 + 7 * week, 500_000, 100)

    assert year.levels(1000 + 7 * 10, 12)[4:11] == [0.5] * 7
