"""Where an account is in its life with the product; weights and some measures depend on it."""

from __future__ import annotations

ONBOARDING_DAYS = 90
RENEWAL_DAYS = 90


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
