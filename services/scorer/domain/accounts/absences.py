"""
Planned absences: days on which an account, or one of its people, said beforehand that it would be away.

Of one person and first day the newest statement holds, so that an absence can be made longer, shorter or taken back, and
the order in which statements come does not matter.
"""

from __future__ import annotations

from collections.abc import Container

from services.scorer.domain.accounts.daily_counts import SPAN

ACCOUNT = 0
"""Stands for the whole account in place of a person."""
MAX_ABSENCES = 64
"""Absences of an account: those of the last 256 days and those to come."""

Absences = dict[tuple[int, int], tuple[int, int]]
"""Hash of the person (ACCOUNT: the whole account) and first day, to last day and time of the statement (ms since 1970)."""


def note(absences: Absences, person: int, first: int, last: int, at: int) -> bool | None:
    """Take in a statement; return whether it is news, None if there is no room for one more."""
    key = (person, first)
    known = absences.get(key)
    if known is not None and (at, last) <= (known[1], known[0]):
        return False
    if known is None and len(absences) >= MAX_ABSENCES:
        return None
    absences[key] = (last, at)
    return known is None or known[0] != last


def merge(absences: Absences, person: int, into: int) -> bool:
    """Make one person of two; return whether the first had any absence."""
    found = [(first, *absences.pop((of, first))) for of, first in sorted(absences) if of == person]
    for first, last, at in found:
        note(absences, into, first, last, at)
    return bool(found)


def forget_past(absences: Absences, day: int) -> bool:
    """Drop what was over 256 days before `day`; return whether there was anything."""
    gone = [key for key, (last, _) in absences.items() if max(key[1], last) <= day - SPAN]
    for key in gone:
        del absences[key]
    return bool(gone)


def of_account(absences: Absences) -> list[tuple[int, int]]:
    """Return first and last days of the absences of the whole account, in order; those that meet are one."""
    return _united(absences, (ACCOUNT,))


def of_people(absences: Absences, people: Container[int]) -> list[tuple[int, int]]:
    """Return first and last days of the absences of these people, in order; two of them may have the same."""
    return _united(absences, people)


def of_strangers(absences: Absences, people: Container[int]) -> list[tuple[int, int]]:
    """Return the same of people who are none of these."""
    return _united(absences, {person for person, _ in absences if person != ACCOUNT and person not in people})


def _united(absences: Absences, people: Container[int]) -> list[tuple[int, int]]:
    """Make one of the absences of a person that overlap or follow on each other: nobody is away twice on one day."""
    found: list[tuple[int, int, int]] = []
    for (person, first), (last, _) in sorted(absences.items()):
        if last < first or person not in people:
            continue
        if found and found[-1][0] == person and first <= found[-1][2] + 1:
            found[-1] = (person, found[-1][1], max(last, found[-1][2]))
        else:
            found.append((person, first, last))
    return sorted((first, last) for _, first, last in found)
