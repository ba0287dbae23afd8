"""Where an account is in its life with the product; weights and some measures depend on it."""

from __future__ import annotations

from collections.abc import Sequence

from services.scorer.domain.accounts.facts import Since
from services.shared.units import day_of

ONBOARDING_DAYS = 90
RENEWAL_DAYS = 90
CORRECTED_WITHIN_DAYS = 14
"""After so many days, a later start is that of the next term and no correction: half of the shortest term, a month."""


def first_start(said: Sequence[Since]) -> int | None:
    """
    Return the start of the first term, of all that was said of the contract's start, oldest first; None: unknown.

    Where each renewal says a new start, the account is no beginner with each term. A later start replaces the one before only
    as its correction: until a fortnight after that one has come and is known. A start that was removed is forgotten.
    """
    first: int | None = None
    known = 0
    for at, start in said:
        if not isinstance(start, int):
            first = None
        elif first is None or start < first or day_of(at) - max(first, known) < CORRECTED_WITHIN_DAYS:
            first, known = start, day_of(at)
    return first


def start_day(first_day: int, contract_start: int | None, day: int) -> int | None:
    """
    Return the day that counts as the start: of the contract, else of the first activity; `day` is today.

    A contract that starts ahead, such as that of the next term, makes no beginner of an account that is active already, and a
    wrong year would do so for ever.
    """
    if contract_start is not None and (contract_start <= day or first_day < 0):
        return contract_start
    return first_day if first_day >= 0 else None


def stage(day: int, started: int | None, first_value_day: int, renewal_day: int | None) -> str:
    """
    Return the stage as of `day`; all days are days since 1970 UTC.

    ONBOARDING until the first value event, at most 90 days; then ADOPTION to day 90; after that RENEWAL in the
    90 days before the renewal date, else ONGOING.
    """
    if started is None or day - started < ONBOARDING_DAYS:
        return "ADOPTION" if started is not None and first_value_day >= 0 else "ONBOARDING"
    if renewal_day is not None and 0 <= renewal_day - day <= RENEWAL_DAYS:
        return "RENEWAL"
    return "ONGOING"
