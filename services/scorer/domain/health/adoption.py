"""Which of the declared features are in use, and which of the declared roles have nobody left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.scorer.domain.accounts.absences import ACCOUNT
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import split
from services.scorer.domain.accounts.daily_counts import SPAN

RECENT_DAYS, BEFORE_DAYS = 28, 84
"""In use now, and in use until lately: days up to the last closed one."""


class Adoption(NamedTuple):
    """How an account uses the declared features. People, agents and integrations use them alike, unless it says people."""

    used: int
    """Features in use now."""
    dropped: Sequence[str] | None
    """Features in use until lately, and not now; None: none is, but that of one cannot be said (see `_told`)."""
    core_unused: Sequence[str] | None
    """Core features that are not in use now; None: the plan declares no core feature."""
    deep_people: int | None
    """People who use a deep feature now; None: the plan declares no deep feature."""


def adoption(account: Account, day: int) -> Adoption:
    """Return how the declared features are used as of a closed day, days since 1970 UTC."""
    depths = account.kinds.depths
    people, _ = split(account.active_users.known)
    away = ACCOUNT in _away(account, day)
    unused: list[str] = []
    dropped: list[str] = []
    unsure = False
    deep = np.zeros(people, np.bool_)
    for feature, depth in depths.items():
        last = account.last_used(feature)
        newest = 0 if last is None or not last.size else int(last.max())
        if last is not None and newest > day - RECENT_DAYS:
            if depth == "deep":
                deep |= last[:people] > day - RECENT_DAYS
            continue
        unused.append(feature)
        if newest > day - BEFORE_DAYS and not away:
            dropped.append(feature)
        elif newest > day - SPAN:
            unsure = True
    core = sum(depth == "core" for depth in depths.values())
    return Adoption(
        len(depths) - len(unused),
        _told(dropped, unsure=unsure),
        [feature for feature in unused if depths[feature] == "core"] if core else None,
        int(np.count_nonzero(deep)) if core < len(depths) else None,
    )


def roles_gone(account: Account, day: int) -> Sequence[str] | None:
    """
    Return the declared roles in which somebody was active until lately and nobody is now.

    Args:
        account: Its people, with the role that was said of each last.
        day: The last closed day, days since 1970 UTC.

    Returns:
        None where no role is known, or none is gone, but that of one cannot be said (see `_told`).
    """
    if account.roles is None:
        return None
    active = account.active_users.people(day)
    if active is None:
        return None
    known = account.active_users.known[: len(active)]
    codes = account.roles.of(known)
    away = _away(account, day)
    is_away = np.isin(np.frombuffer(known, np.uint64), np.fromiter(away, np.uint64)) | (ACCOUNT in away)
    now = set(codes[active[:, -RECENT_DAYS:].any(axis=1)].tolist())
    lately = set(codes[active[:, -BEFORE_DAYS:].any(axis=1)].tolist()) - set(codes[is_away].tolist()) - now
    ever = set(codes[active.any(axis=1)].tolist()) - now
    gone, empty = (
        [name for name, place in account.kinds.roles.items() if place + 1 in left] for left in (lately, ever)
    )
    return _told(gone, unsure=len(empty) > len(gone))


def _told(gone: Sequence[str], *, unsure: bool) -> Sequence[str] | None:
    """
    Return what is gone; None: nothing is, but of something it cannot be said.

    What is away as planned may come back, and what was in use before lately has not: of neither it can be said that it is there,
    so no rule takes its being left out for a recovery.
    """
    return gone if gone or not unsure else None


def _away(account: Account, day: int) -> set[int]:
    """Return who is away as planned on any of the last days; ACCOUNT: all are."""
    return {
        person
        for (person, first), (last, _) in (account.absences or {}).items()
        if first <= day and last > day - RECENT_DAYS and last >= first
    }
