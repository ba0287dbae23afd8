"""Cases: what is open, whatever the order of the records, and what is forgotten."""

from __future__ import annotations

import itertools

import pytest

from services.scorer.domain.accounts import cases as module
from services.scorer.domain.accounts.cases import REMEMBER_CLOSED_MS, Cases, forget_closed, note, open_since


def test_records_in_any_order_lead_to_the_same_cases() -> None:
    said = [("a", 1, 0), ("a", 0, 3), ("a", 5, 0), ("b", 2, 0), ("b", 0, 4), ("c", 6, 0), ("c", 0, 6)]
    for order in itertools.permutations(said):
        found: Cases = {}
        for case, opened_at, closed_at in order:
            assert note(found, case, opened_at, closed_at)

        assert found == {"a": (5, 3), "b": (2, 4), "c": (6, 6)}
        assert open_since(found) == [5]


def test_a_case_that_was_closed_is_forgotten_after_a_while_and_an_open_one_never() -> None:
    found: Cases = {"closed": (1, 1_000), "open": (1, 0)}

    assert not forget_closed(found, 1_000 + REMEMBER_CLOSED_MS)
    assert forget_closed(found, 1_001 + REMEMBER_CLOSED_MS)
    assert found == {"open": (1, 0)}


def test_where_there_is_no_room_the_case_that_was_closed_first_goes_and_no_open_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CASES", 3)
    found: Cases = {"late": (1, 9), "early": (2, 8), "open": (3, 0)}

    assert note(found, "new", 10, 0)
    assert found.keys() == {"late", "open", "new"}
    assert note(found, "newer", 11, 0)
    assert not note(found, "one too many", 12, 0)
    assert found.keys() == {"open", "new", "newer"}
