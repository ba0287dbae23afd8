"""When an account needs no evaluation, and when nothing is lost by forgetting it."""

from __future__ import annotations

from typing import Any

import pytest

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.accounts.resting import is_forgettable, is_resting
from services.shared.units import DAY_MS
from tests.support.scorer import DAY, PLAN

KINDS = kinds_of(PLAN)


def account(**facts: Any) -> Account:
    """Return an account that was heard of on the first test day, and never again."""
    found = Account("acme", DAY, KINDS)
    found.facts = Facts(len(KINDS.facts))
    for name, value in facts.items():
        found.facts.set(KINDS.facts[name], value, 1)
    return found


def evaluated(found: Account, first: int, last: int) -> list[int]:
    """Return the days from `first` to `last`, counted from the first test day, whose close evaluates it."""
    return [day for day in range(first, last + 1) if not is_resting(found, DAY + day)]


def test_an_idle_account_is_evaluated_daily_then_weekly_and_after_256_days_each_four_weeks() -> None:
    assert evaluated(account(), 40, 60) == [40, 41, 42, 49, 56]
    assert evaluated(account(), 245, 340) == [245, 252, 280, 308, 336]
    assert evaluated(account(), 1_000, 1_060) == [1_008, 1_036]


def test_a_renewal_keeps_an_account_awake_until_six_weeks_after_it() -> None:
    assert evaluated(account(renewal_day=DAY + 60), 95, 110) == [*range(95, 103), 105]


def test_an_answer_keeps_an_account_awake_until_it_is_over_180_days_old_and_a_case_while_it_is_open() -> None:
    asked, helped = account(), account()
    asked.answers_of(0)["ann"] = (DAY * DAY_MS, 9)
    helped.cases_of(0).update({"a": (DAY * DAY_MS, 0), "b": (DAY * DAY_MS, DAY * DAY_MS + 1)})

    assert evaluated(asked, 178, 188) == [178, 179, 180, 182]
    assert evaluated(helped, 300, 310) == [*range(300, 311)]
    helped.cases_of(0)["a"] = (DAY * DAY_MS, DAY * DAY_MS + 1)
    assert evaluated(helped, 300, 310) == [308]


@pytest.mark.parametrize(
    ("facts", "from_day"),
    [
        ({}, 257),
        ({"revenue": 0.0}, 257),
        ({"revenue": 1.0}, None),
        ({"contract_start_day": DAY}, None),
        ({"revenue": 1.0, "contract_start_day": DAY, "renewal_day": DAY + 30}, 287),
        ({"renewal_day": DAY - 300}, 257),
    ],
)
def test_an_account_can_be_forgotten_256_days_after_it_was_mentioned_and_its_renewal_passed(
    facts: dict[str, Any], from_day: int | None
) -> None:
    found = account(**facts)

    assert next((day for day in range(600) if is_forgettable(found, DAY + day)), None) == from_day
