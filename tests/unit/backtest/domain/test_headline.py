"""The first lines: what a customer success lead asks, and what a plain rule does better."""

from __future__ import annotations

from dataclasses import replace

from services.backtest.domain.headline import SHOWN, of_list
from services.backtest.domain.outcomes import Calls

OURS = Calls("Tidemark, warning or above", 40, 31, 23.0, 200, 140, 100.0, ())
PLAIN = replace(OURS, name=SHOWN, flagged=28, lead_days=11.0, in_vain=200)


def test_it_opens_with_the_accounts_that_were_lost() -> None:
    first, second = of_list([OURS, PLAIN], owners=0)

    assert first == (
        "Of your 40 lost accounts Tidemark would have flagged 31, at the median 23 days before the loss, with 1.4 calls in "
        "vain a week."
    )
    assert second == (
        "“Silent for 3 weeks” would have flagged 28, at the median 11 days before the loss, with 2.0 calls in vain a week."
    )


def test_calls_are_told_for_each_owner_where_they_are_known() -> None:
    assert "with 0.2 calls in vain a week for each of 7 owners." in of_list([OURS, PLAIN], owners=7)[0]


def test_plain_rules_that_do_better_are_told_at_once_and_the_best_with_its_figures() -> None:
    better, best = (
        replace(PLAIN, flagged=31, in_vain=120),
        replace(PLAIN, name="silent for 23 days", flagged=33, in_vain=130),
    )

    _, second, third, fourth = of_list([OURS, better, best], owners=0)

    assert second == (
        "These plain rules do better than Tidemark here, finding no less with no more false calls: “silent for 23 days” and "
        "“silent for 3 weeks”."
    )
    assert third.startswith(
        "“Silent for 23 days” would have flagged 33, at the median 11 days before the loss, with 1.3"
    )
    assert fourth.startswith("“Silent for 3 weeks” would have flagged 31")


def test_a_rule_that_is_equal_or_trades_one_for_the_other_is_no_better() -> None:
    for other in (OURS, replace(PLAIN, flagged=35, in_vain=141), replace(PLAIN, flagged=30, in_vain=10)):
        assert len(of_list([OURS, replace(other, name="y")], owners=0)) == 1


def test_a_list_of_which_nothing_can_be_judged_says_so() -> None:
    assert of_list([replace(OURS, lost=0)], owners=0) == ["No lost account on the list can be judged; see below why."]
