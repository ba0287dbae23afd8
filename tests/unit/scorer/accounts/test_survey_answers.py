"""Answers to surveys: whose is kept, for how long, and what they say together."""

from __future__ import annotations

import pytest

from services.scorer.domain.accounts.survey_answers import (
    KEEP_MS,
    MAX_ANSWERS,
    Answers,
    forget_old,
    note,
    sentiment,
)
from services.shared.units import DAY_MS

NOW = 20_000 * DAY_MS


def test_an_older_answer_of_a_person_changes_nothing_and_costs_none() -> None:
    answers: Answers = {"ann": (NOW, 9)}

    assert note(answers, "ann", NOW - 1, 2)
    assert answers == {"ann": (NOW, 9)}


@pytest.mark.parametrize("surveys", [1, 4])
def test_beyond_the_bound_that_surveys_share_the_oldest_answer_goes(surveys: int) -> None:
    room = MAX_ANSWERS // surveys
    answers: Answers = {}

    assert all(note(answers, f"p{number}", NOW + number, 9, surveys) for number in range(room))
    assert not note(answers, "late", NOW + room, 9, surveys)
    assert len(answers) == room
    assert answers.keys() >= {"p1", "late"}
    assert "p0" not in answers


def test_an_answer_is_forgotten_once_it_is_over_180_days_old() -> None:
    answers: Answers = {"old": (NOW - KEEP_MS - 1, 9), "kept": (NOW - KEEP_MS, 9)}

    assert sentiment(answers, NOW).responses == 1
    assert forget_old(answers, NOW)
    assert answers == {"kept": (NOW - KEEP_MS, 9)}
    assert not forget_old(answers, NOW)


def test_a_low_answer_makes_a_detractor_for_90_days() -> None:
    answers: Answers = {"ann": (NOW - 90 * DAY_MS, 6), "bob": (NOW - 90 * DAY_MS - 1, 0)}
    found = sentiment(answers, NOW)

    assert (found.detractors_90, found.lowest_score_90, found.lowest_user_90) == (1, 6, "ann")
    assert (found.responses, found.mean) == (2, 3.0)


def test_the_latest_answer_is_the_one_that_was_given_last_and_an_old_one_is_the_lowest_of_nobody() -> None:
    answers: Answers = {"ann": (NOW - 91 * DAY_MS, 3), "bob": (NOW - 92 * DAY_MS, 9)}
    found = sentiment(answers, NOW)

    assert (found.latest_score, found.latest_at) == (3, NOW - 91 * DAY_MS)
    assert (found.detractors_90, found.lowest_score_90, found.lowest_user_90) == (0, -1, "")


@pytest.mark.parametrize(("scale", "low", "high"), [((0, 10), 6, 7), ((1, 5), 3, 4), ((0, 100), 60, 61)])
def test_the_lower_six_tenths_of_a_scale_are_those_of_detractors(scale: tuple[int, int], low: int, high: int) -> None:
    assert sentiment({"ann": (NOW, low), "bob": (NOW, high)}, NOW, scale).detractors_90 == 1


def test_without_answers_nothing_is_said() -> None:
    assert sentiment(None, NOW) == (0, -1, 0, 0, -1, "", 0.0)
