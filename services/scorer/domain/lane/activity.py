"""What active people do to an account: days of activity, counts, milestones and features, today and on closed days."""

from __future__ import annotations

from services.scorer.domain.accounts.account import TOUCHED, Account
from services.scorer.domain.accounts.daily_counts import ACTIVE, EVENTS
from services.scorer.domain.lane.meanings import Meaning, Meanings
from services.scorer.domain.lane.usage_state import UsageState

_FIRST_ACTIVITY = 0


class Activity:
    """Counts activity in the state of a lane."""

    def __init__(self, state: UsageState, meanings: Meanings) -> None:
        """Count in `state` what these meanings of events say."""
        self.state = state
        self.meanings = meanings
        self._features = len(meanings.kinds.features)
        self._uses = [(m.counts, m.milestones, m.features, frozenset(m.connects)) for m in meanings.all]

    def first_today(self, account: Account, today: int) -> None:
        """Note that an account is active today, which it was not before."""
        account.last_active_day = today
        account.reach(_FIRST_ACTIVITY, today)
        account.stale = max(account.stale, TOUCHED)
        self.state.connect("usage")
        self.state.connect("breadth")

    def use(self, account: Account, number: int, actor: int | None, today: int) -> None:
        """Note what use of today is beside activity: counts, milestones and features."""
        counts, milestones, features, connects = self._uses[number]
        counted = account.counts_today or account.start_counts()
        for place in counts:
            counted[place] += 1
        reached = account.milestones
        for place in milestones:
            if reached[place] < 0 and account.reach(place, today):
                account.stale = max(account.stale, TOUCHED)
        if features and actor is not None:
            for place in features:
                account.active_users.mark_feature(actor, place, self._features)
        if not connects <= self.state.own_connected:
            for dimension in connects:
                self.state.connect(dimension)

    def count(self, account: Account, actor: int | None, number: int, day: int) -> None:
        """Count activity for its day: today, or a closed one that it belongs to."""
        state = self.state
        today = state.clock.today
        if day < today:
            self._count_past(account, actor, self.meanings.all[number], day)
            return
        account.events_today += 1
        if actor is not None and account.active_users.mark(actor):
            if account.last_active_day != today:
                self.first_today(account, today)
        elif actor is not None:
            state.ledger.people_dropped += 1
        if number:
            self.use(account, number, actor, today)

    def _count_past(self, account: Account, actor: int | None, meaning: Meaning, day: int) -> None:
        state = self.state
        state.cold.add(account.name)
        account.daily_counts.add(EVENTS, day, 1)
        if actor is not None:
            news = account.active_users.mark_past(actor, day)
            if news is None:
                state.ledger.people_dropped += 1
            elif news:
                account.daily_counts.add(ACTIVE, day, 1)
            account.last_active_day = max(account.last_active_day, day)
            account.reach(_FIRST_ACTIVITY, day)
            state.connect("usage")
            state.connect("breadth")
            for place in meaning.features:
                account.active_users.mark_past_feature(actor, day, place, self._features)
        for place in meaning.counts:
            account.daily_counts.add(place, day, 1)
        for place in meaning.milestones:
            account.reach(place, day)
        for dimension in meaning.connects:
            state.connect(dimension)
