"""What changed since the day before: what is news, in which order it is told, and through which parts of the score."""

from __future__ import annotations

from typing import Any

import pytest

from services.warehouse.domain.changes import is_news, reasons, urgency


def state(band: str, score_tenths: int, account: str = "acme", revenue: float | None = None) -> dict[str, Any]:
    return {"account": account, "band": band, "score_tenths": score_tenths, "revenue": revenue}


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        (state("GREEN", 760), state("YELLOW", 740), True),
        (state("GREEN", 900), state("GREEN", 850), True),
        (state("GREEN", 850), state("GREEN", 900), True),
        (state("GREEN", 900), state("GREEN", 851), False),
        (state("LEARNING", 900), state("LEARNING", 100), False),
        (state("UNKNOWN", 900), state("UNKNOWN", 100), False),
        (state("LEARNING", 900), state("GREEN", 900), True),
    ],
)
def test_another_band_is_news_and_so_are_five_points_where_the_score_means_anything(
    before: dict[str, Any], now: dict[str, Any], news: bool
) -> None:
    assert is_news(before, now) is news


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        ("GREEN", "YELLOW", True),
        ("YELLOW", "RED", True),
        ("RED", "GREEN", False),
        ("LEARNING", "RED", True),
        ("LEARNING", "YELLOW", True),
        ("LEARNING", "GREEN", False),
        ("UNKNOWN", "GREEN", False),
        ("RED", "UNKNOWN", False),
        ("GREEN", "UNKNOWN", False),
    ],
)
def test_a_band_is_for_the_worse_if_it_is_worse_than_that_before_or_than_green_if_there_was_none(
    before: str, now: str, worse: bool
) -> None:
    assert urgency(state(before, 500), state(now, 500))[0] == int(not worse)


def test_changes_for_the_worse_come_first_then_by_how_far_the_score_went_then_by_revenue() -> None:
    pairs = [
        (state("GREEN", 800), state("GREEN", 990, "a rise")),
        (state("GREEN", 900), state("GREEN", 800, "poor", 1.0)),
        (state("GREEN", 900), state("GREEN", 800, "no revenue")),
        (state("GREEN", 900), state("GREEN", 800, "rich", 9.0)),
        (state("GREEN", 900), state("RED", 400, "far")),
    ]

    assert [now["account"] for _, now in sorted(pairs, key=lambda both: urgency(*both))] == [
        "far",
        "rich",
        "poor",
        "no revenue",
        "a rise",
    ]


def test_the_parts_that_moved_the_score_most_its_way_are_told_also_one_that_is_gone_or_new() -> None:
    def snapshot(score_tenths: int, **parts: int) -> dict[str, Any]:
        told = [{"measure": name, "score": 50, "weight": 0.2, "contribution_tenths": n} for name, n in parts.items()]
        return {"score_tenths": score_tenths, "parts": told}

    before = snapshot(500, usage=200, people=100, gone=90, value=60, same=50)
    now = snapshot(300, usage=150, people=110, value=20, same=50, new=-30)

    found = reasons(before, now)

    assert [(part["measure"], part["change_tenths"]) for part in found] == [
        ("gone", -90),
        ("usage", -50),
        ("value", -40),
    ]
    assert (found[0]["score"], found[0]["weight"], found[0]["contribution_tenths"]) == (0, 0.0, 0)
    assert [part["measure"] for part in reasons(now, before)] == ["gone", "usage", "value"]
    assert reasons(before, before) == []
