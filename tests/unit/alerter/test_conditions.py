"""What each comparison of a rule says at its bound and on both sides of it."""

from __future__ import annotations

import pytest

from services.alerter.domain.conditions import AllOf, AnyOf, Comparison, Condition, holds


@pytest.mark.parametrize(
    ("comparison", "less", "equal", "more"),
    [
        (Comparison.BELOW, True, False, False),
        (Comparison.AT_MOST, True, True, False),
        (Comparison.ABOVE, False, False, True),
        (Comparison.AT_LEAST, False, True, True),
        (Comparison.EQUALS, False, True, False),
    ],
)
@pytest.mark.parametrize("bound", [2.0, "seats"], ids=["a number", "a measure"])
def test_a_comparison_holds_on_the_sides_of_its_bound_that_its_name_says(
    comparison: Comparison, bound: float | str, less: bool, equal: bool, more: bool
) -> None:
    condition = Condition("active_users_28", comparison, bound)

    assert [holds(condition, {"active_users_28": value, "seats": 2.0}) for value in (1.0, 2.0, 3.0)] == [
        less, equal, more,
    ]  # fmt: skip
    assert not holds(condition, {"seats": 2.0})


def test_any_holds_where_one_part_does_and_all_where_every_part_does() -> None:
    yes, no = Condition("seats", Comparison.ABOVE, 1.0), Condition("seats", Comparison.BELOW, 1.0)
    at_hand = {"seats": 2.0}

    assert [holds(AnyOf(parts), at_hand) for parts in ((), (no,), (no, yes), (yes, no))] == [False, False, True, True]
    assert [holds(AllOf(parts), at_hand) for parts in ((), (yes,), (no, yes), (yes, no))] == [True, True, False, False]
