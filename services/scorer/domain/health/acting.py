"""How much of an account's use is done by people, how much by agents and integrations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.daily_counts import SPAN

_MONTH = 28
_SMOOTH = 0.5
"""As in the ratio of a window (trend.py)."""
_THERE = 0.8
"""The share of people's usual user-days in four weeks from which on nothing counts as taken over from them."""
_FEWEST_MORE = 8
"""User-days of four weeks by which agents and integrations must do more to take anything over: two days a week."""


class Acting(NamedTuple):
    """Who acts in an account in which agents or integrations have been active. User-days are those of all actors."""

    people_share: float | None
    """The share of people in the user-days of four weeks; None: there are none."""
    people_share_usual: float | None
    """The same of the weeks before them; None: there are none, or none of the account's own time."""
    people: int
    """Their user-days of four weeks."""
    machines: int
    """The same of agents and integrations."""
    agents: int
    """Active in four weeks."""
    integrations: int

    def people_level(self, expected: float) -> float | None:
        """Return people's user-days of four weeks against their usual share of those expected; None: they have none."""
        if self.people_share_usual is None:
            return None
        return (self.people + _SMOOTH) / (expected * self.people_share_usual + _SMOOTH)

    def taken_over(self, expected: float) -> float | None:
        """
        Return how many user-days agents and integrations do more, for each that people do less in four weeks.

        Both against their usual part of those expected. None: people do four fifths of theirs or more, or have none.
        """
        if self.people_share_usual is None:
            return None
        usual = expected * self.people_share_usual
        if self.people >= _THERE * usual:
            return None
        more = self.machines - expected * (1 - self.people_share_usual)
        return more / (usual - self.people) if more >= _FEWEST_MORE else 0.0


def acting(account: Account, day: int, baseline_weeks: int) -> Acting | None:
    """
    Return who did what in the four weeks up to a day; None: only people are known of.

    Args:
        account: Its daily counts hold the days up to `day`.
        day: The last closed day.
        baseline_weeks: Of the account, before these four weeks.
    """
    active = account.history("active", day)
    others = account.active_users.others(day)
    if others is None or active is None:
        return None
    machines = sum(kind.sum(axis=0, dtype=np.int64) for kind in others)
    people = active - machines
    agents, integrations = (int(np.count_nonzero(kind[:, -_MONTH:].any(axis=1))) for kind in others)
    return Acting(
        people_share=_share(people, active, SPAN - _MONTH, SPAN),
        people_share_usual=_share(people, active, SPAN - _MONTH - 7 * baseline_weeks, SPAN - _MONTH),
        people=int(people[-_MONTH:].sum()),
        machines=int(machines[-_MONTH:].sum()),
        agents=agents,
        integrations=integrations,
    )


def _share(
    people: np.typing.NDArray[np.int64], active: np.typing.NDArray[np.int64], first: int, end: int
) -> float | None:
    """Return what part people have in the days from place `first` to `end`; None: nobody was active."""
    all_of_them = int(active[first:end].sum())
    return int(people[first:end].sum()) / all_of_them if all_of_them > 0 else None
