"""Who was active when, against plain sets of days."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.domain.accounts import active_users as module
from services.scorer.domain.accounts.active_users import ActiveUsers
from services.scorer.domain.accounts.daily_counts import SPAN
from tests.support.examples import examples


def naive_days(days: dict[int, set[int]], end: int) -> dict[int, list[bool]]:
    return {p: [day in seen for day in range(end - SPAN + 1, end + 1)] for p, seen in days.items()}


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6))
def test_days_are_those_of_plain_sets(seed: int) -> None:
    rnd = random.Random(seed)
    people, today = ActiveUsers(999), 1000
    days: dict[int, set[int]] = {}
    persons = [rnd.getrandbits(62) for _ in range(12)]
    for _ in range(60):
        for person in rnd.sample(persons, rnd.randrange(6)):
            people.mark(person)
            days.setdefault(person, set()).add(today)
        if rnd.random() < 0.3 and today > 1010:
            person, day = rnd.choice(persons), today - rnd.randrange(1, 10)
            news = people.mark_past(person, day)
            assert news == (day not in days.get(person, set()))
            days.setdefault(person, set()).add(day)
        active = sum(today in seen for seen in days.values())
        assert people.close(today) == active
        today += rnd.choice([1, 1, 1, 2, 5, 40])
    end = today - 1
    found = people.people(end)

    expected = {p: w for p, w in naive_days(days, end).items() if any(w)}
    rows = {} if found is None else {p: row for p, row in zip(people.known, found.tolist(), strict=True) if any(row)}
    assert rows == expected


def test_whoever_has_no_day_left_is_forgotten() -> None:
    people = ActiveUsers(999)
    people.mark(1)
    people.close(1000)
    people.mark(2)
    people.close(1000 + 256)

    assert list(people.known) == [2]


def test_the_order_of_arrival_leaves_no_trace() -> None:
    first, second = ActiveUsers(999), ActiveUsers(999)
    for person in (5, 3, 9):
        first.mark(person)
    for person in (9, 5, 3):
        second.mark(person)
    assert first.close(1000) == second.close(1000) == 3

    assert (first.known, first.bits, first.today) == (second.known, second.bits, second.today)


def test_those_who_are_active_today_stay_marked_while_others_are_sorted_in() -> None:
    people = ActiveUsers(999)
    for person in (50, 10, 70):
        people.mark(person)
    assert people.mark_past(20, 990) is True
    people.mark(60)
    assert people.mark_past(5, 991) is True
    assert people.mark_past(5, 991) is False

    assert people.close(1000) == 4


def test_the_cap_leaves_new_people_out_and_says_so(monkeypatch: object) -> None:
    people = ActiveUsers(999)
    for person in range(module.MAX_PEOPLE):
        assert people.mark(person)

    assert not people.mark(10**9)
    assert people.mark(5)
    assert people.mark_past(10**9, 990) is None
    assert people.close(1000) == module.MAX_PEOPLE
