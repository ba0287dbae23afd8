"""Messages count one thing as one."""

from __future__ import annotations

import pytest

from services.shared.counts import counted


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 events"), (1, "1 event"), (2, "2 events"), (1_200, "1,200 events")]
)
def test_a_number_is_told_with_what_it_counts(number: int, told: str) -> None:
    assert counted(number, "event") == told


def test_what_has_another_form_for_many_is_given_both() -> None:
    assert counted(1, "alias is", "aliases are") == "1 alias is"
    assert counted(3, "alias is", "aliases are") == "3 aliases are"
