"""When an account needs no evaluation, and when nothing is lost by forgetting it."""

from __future__ import annotations

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.cases import is_open
from services.scorer.domain.accounts.daily_counts import SPAN
from services.scorer.domain.accounts.survey_answers import KEEP_MS
from services.shared.units import DAY_MS

REST_AFTER_DAYS = 42
REST_EVERY_DAYS = 7
DEEP_REST_EVERY_DAYS = 28
OVERDUE_DAYS = 42
"""How long a renewal that passed without a newer date is still looked at each day."""


def is_resting(account: Account, day: int) -> bool:
    """
    Return whether the close of `day` needs no evaluation: nothing came in for six weeks, nothing is waited for.

    The last four weeks have been empty for two weeks by then. What still moves, the usual level that fades out of the
    baseline and what was in use in the last twelve weeks, moves slowly: one evaluation a week follows it. After 256 days
    that has gone, too. Then one in four weeks is for signals: the alerter has no other time than that of snapshots, and
    a rule on the length of the silence may fire, and then has to expire, however late that is.
    """
    idle = day - account.touched_day
    every = REST_EVERY_DAYS if idle <= SPAN else DEEP_REST_EVERY_DAYS
    return idle > REST_AFTER_DAYS and idle % every != 0 and not _awaits(account, day)


def is_forgettable(account: Account, day: int) -> bool:
    """
    Return whether nothing is lost by forgetting the account: nobody mentioned it for 256 days, and nothing is open.

    A contract, a revenue or a renewal keeps it, except where the renewal passed as long ago: that customer has left.
    """
    if day - account.touched_day <= SPAN or _awaits(account, day):
        return False
    renewal = account.fact("renewal_day")
    if isinstance(renewal, int):
        return day - renewal > SPAN
    return account.fact("contract_start_day") is None and not account.fact("revenue")


def _awaits(account: Account, day: int) -> bool:
    """Return whether time alone will change the account: an open case, an answer that ages, a renewal near or due."""
    for cases in account.cases or ():
        if cases and any(is_open(times) for times in cases.values()):
            return True
    for answers in account.survey_answers or ():
        if answers and any(day * DAY_MS - at <= KEEP_MS for at, _ in answers.values()):
            return True
    renewal = account.fact("renewal_day")
    return isinstance(renewal, int) and renewal >= day - OVERDUE_DAYS
