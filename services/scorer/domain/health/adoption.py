"""Which of the declared features are in use, and which of the declared roles have nobody left."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.scorer.domain.accounts.absences import ACCOUNT
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import split
from services.scorer.domain.accounts.roles import UNKNOWN

RECENT_DAYS, BEFORE_DAYS = 28, 84
"""In use now, and in use until lately: days up to the last closed one."""


class Adoption(NamedTuple):
    """How an account uses the declared features. People, agents and integrations use them alike, unless it says people."""

    used: int
    """Features in use now."""
    dropped: int
    """Features in use until lately, and not now; none if the whole account is away as planned on any of the last days."""
    core_unused: int | None
    """Core features that are not in use now; None: the plan declares no core feature."""
    deep_people: int | None
    """People who use a deep feature now; None: the plan declares no deep feature."""


def adoption(account: Account, day: int) -> Adoption:
    """Return how the declared features are used as of a closed day, days since 1970 UTC."""
    depths = account.kinds.depths
    people, _ = split(account.active_users.known)
    away = ACCOUNT in _away(account, day)
    used = dropped = core_used = 0
    deep = np.zeros(people, np.bool_)
    for feature, depth in depths.items():
        last = account.last_used(feature)
        newest = 0 if last is None or not last.size else int(last.max())
        if last is not None and newest > day - RECENT_DAYS:
            used += 1
            core_used += depth == "core"
            if depth == "deep":
                deep |= last[:people] > day - RECENT_DAYS
        elif newest > day - BEFORE_DAYS and not away:
            dropped += 1
    core = sum(depth == "core" for depth in depths.values())
    return Adoption(
        used,
        dropped,
        core - core_used if core else None,
        int(np.count_nonzero(deep)) if core < len(depths) else None,
    )


def roles_gone(account: Account, day: int) -> int | None:
    """
    Return the declared roles in which somebody was active until lately and nobody is now; None: no role is known.

    Whoever is away as planned on any of the last days counts as active now.

    Args:
        account: Its people, with the role that was said of each last.
        day: The last closed day, days since 1970 UTC.
    """
    active = account.active_users.people(day)
    if account.roles is None or active is None:
        return None
    known = account.active_users.known[: len(active)]
    now = active[:, -RECENT_DAYS:].any(axis=1)
    lately = active[:, -BEFORE_DAYS:-RECENT_DAYS].any(axis=1)
    away = _away(account, day)
    if ACCOUNT in away:
        return 0
    if away:
        now |= np.isin(np.frombuffer(known, np.uint64), np.fromiter(away, np.uint64))
    codes = account.roles.of(known)
    left: set[int] = set(codes[lately].tolist()) - set(codes[now].tolist())
    return sum(UNKNOWN < code <= len(account.kinds.roles) for code in left)


def _away(account: Account, day: int) -> set[int]:
    """Return who is away as planned on any of the last days; ACCOUNT: all are."""
    return {
        person
        for (person, first), (last, _) in (account.absences or {}).items()
        if first <= day and last > day - RECENT_DAYS and last >= first
    }
