"""
Who was active, as one number of 64 bits: 62 bits of a hash, and above them whether it is a person, an agent or an integration.

So in sorted numbers people come first, then agents, then integrations, and the kinds are told apart without any memory of
their own. An agent that acts for a user is another actor than this user.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

from xxhash import xxh64_intdigest

AGENTS = 1 << 62
"""The least number of an agent."""
INTEGRATIONS = 2 << 62
"""The least number of an integration."""
FIRST_OF = {"AGENT": AGENTS, "INTEGRATION": INTEGRATIONS}
"""The least number of each kind of actors but people, as the event record names it."""


def person_of(user: str) -> int:
    """Return the number of the person who has a pseudonym."""
    return xxh64_intdigest(user.encode()) >> 2


def actor_of(user: str, source: str, actor: str) -> int | None:
    """
    Return the number of whoever acts; None: nobody can be told.

    An agent or an integration without a user is one for each source. Where nothing says what it is, somebody with a user
    is a person, and without one it is nobody: what servers send of their own accord must not look like life.
    """
    kind = FIRST_OF.get(actor)
    if kind is None:
        return person_of(user) if user else None
    return kind | person_of(user or f"\0{source}")


def same_for_each_kind(first: int, second: int) -> list[tuple[int, int]]:
    """Return the numbers that two people have as each kind of actors."""
    return [(kind | first, kind | second) for kind in (0, AGENTS, INTEGRATIONS)]


def split(actors: array[int]) -> tuple[int, int]:
    """Return where in sorted numbers agents begin, and where integrations do."""
    agents = bisect_left(actors, AGENTS)
    return agents, bisect_left(actors, INTEGRATIONS, agents)
