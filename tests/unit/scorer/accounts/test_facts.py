"""Group traits: the right types in, wrong ones out one by one, the newest statement wins."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from services.scorer.domain.accounts.facts import Facts, read_traits
from services.scorer.domain.accounts.kinds import kinds_of, traits_of
from tests.support.scorer import PLAN

TRAITS = traits_of(PLAN)
FACTS = kinds_of(PLAN).facts


@pytest.mark.parametrize(
    ("trait", "value", "field", "fact"),
    [
        ("name", " Acme ", "name", "Acme"),
        ("Owner", "mia@x.io", "owner", "mia@x.io"),
        ("ARR", "12000.5", "revenue", 12000.5),
        ("revenue", 0, "revenue", 0.0),
        ("seats", 12.0, "seats", 12),
        ("seats", "12", "seats", 12),
        ("renewal_date", "1970-01-11", "renewal_day", 10),
        ("renewal_date", "1970-01-10T23:00:00-02:00", "renewal_day", 10),
        ("renewal_date", 864_000, "renewal_day", 10),
        ("contract_start", 1_700_000_000_000, "contract_start_day", 19_675),
        ("plan", 7, "plan", "7"),
        ("parent", None, "parent", None),
    ],
)
def test_a_trait_becomes_a_fact(trait: str, value: Any, field: str, fact: Any) -> None:
    assert read_traits({trait: value}, TRAITS) == ([(FACTS[field], fact)], [])


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("seats", "many"), ("seats", -1), ("seats", 1.5), ("seats", True), ("seats", [1]), ("seats", 1e300), ("revenue", "1e999"),
        ("revenue", "nan"), ("renewal_date", "soon"), ("renewal_date", "9999-01-01"), ("renewal_date", 1e40), ("renewal_date", {}),
        ("name", ""), ("name", "x" * 501), ("owner", {"id": 1}), ("plan", False),
    ],
)  # fmt: skip
def test_a_wrong_trait_costs_that_trait_alone(trait: str, value: Any) -> None:
    found, wrong = read_traits({trait: value, "parent": "holding", "unknown": object()}, TRAITS)

    assert found == [(FACTS["parent"], "holding")]
    assert [w.trait for w in wrong] == [trait]
    assert wrong[0].detail.startswith("send ")


def test_statements_in_any_order_lead_to_the_same_facts() -> None:
    said = [(3, 5, 100), (3, 7, 200), (3, 6, 200), (3, None, 150)]
    ends = set()
    for order in itertools.permutations(said):
        facts = Facts(8)
        for field, value, when in order:
            facts.set(field, value, when)
        ends.add((facts.values[3], facts.times[3]))

    assert ends == {(7, 200)}


def test_a_later_null_removes_a_fact() -> None:
    facts = Facts(8)
    facts.set(3, 5, 100)

    assert facts.set(3, None, 200)
    assert facts.values[3] is None


def test_former_values_are_kept_with_the_times_from_which_they_held() -> None:
    facts = Facts(8)
    for value, when in ((50, 100), (50, 150), (40, 200), (40, 300), (50, 400)):
        facts.set(3, value, when)

    assert facts.history(3) == [(100, 50), (200, 40), (400, 50)]
    assert facts.times[3] == 400
    assert facts.history(2) == []


def test_different_statements_in_any_order_lead_to_the_same_history() -> None:
    said = [(5, 100), (7, 200), (6, 200), (None, 300), (8, 400)]
    for order in itertools.permutations(said):
        facts = Facts(8)
        for value, when in order:
            facts.set(3, value, when)

        assert facts.history(3) == [(100, 5), (200, 7), (300, None), (400, 8)], order


def test_a_late_statement_within_the_time_of_the_present_value_ends_when_that_was_repeated() -> None:
    facts = Facts(8)
    for value, when in ((40, 100), (40, 300), (50, 200), (40, 250), (40, 50)):
        facts.set(3, value, when)

    assert facts.history(3) == [(50, 40), (200, 50), (250, 40)]
    assert (facts.values[3], facts.times[3]) == (40, 300)


def test_each_fact_has_former_values_of_its_own() -> None:
    facts = Facts(8)
    for value, when in ((1, 100), (2, 200), (3, 300)):
        facts.set(3, value, when)
        facts.set(4, -value, when)

    assert facts.history(3) == [(100, 1), (200, 2), (300, 3)]
    assert facts.history(4) == [(100, -1), (200, -2), (300, -3)]


def test_a_change_that_a_statement_of_the_same_moment_undoes_is_no_former_value() -> None:
    facts = Facts(8)
    for value, when in (("pro", 100), ("basic", 200), ("pro", 200)):
        facts.set(3, value, when)

    assert facts.history(3) == [(100, "pro")]


def test_the_last_eight_former_values_are_kept() -> None:
    facts = Facts(8)
    for value in range(12):
        facts.set(3, value, value)

    assert facts.history(3) == [(value, value) for value in range(3, 12)]
