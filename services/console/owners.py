"""The owners that accounts have, and whom a name that somebody typed may mean."""

from __future__ import annotations

from collections.abc import Sequence

from services.console.rendering import Visit

SHOWN = 24
"""So many owners are offered beside a name that none of them has."""
_WEEKS = 30
"""As the portfolio asks, so that both share one answer."""


async def is_owner(visit: Visit, name: str) -> bool:
    """Return whether any account has this owner now."""
    told = await visit.api.get("/v1/accounts", owner=name, limit=1)
    return bool(told["total"])


async def owners_of(visit: Visit) -> list[str]:
    """Return the owners of all accounts as they were some minutes ago, a thousand at most, in the order of the alphabet."""
    base = await visit.api.get_recent("/v1/portfolio", weeks=_WEEKS)
    return sorted((each["owner"] for each in base["owners"] if each["owner"]), key=str.casefold)


def meant(name: str, owners: Sequence[str]) -> str:
    """Return the owner of this name, in any case; empty where there is none, or more than one."""
    if name in owners:
        return name
    found = [owner for owner in owners if owner.casefold() == name.strip().casefold()]
    return found[0] if len(found) == 1 else ""


def nearest_first(name: str, owners: Sequence[str]) -> list[str]:
    """Return owners with those first that have a word of the name in theirs."""
    words = [word.casefold() for word in name.split()]
    return sorted(owners, key=lambda owner: -sum(word in owner.casefold() for word in words))
