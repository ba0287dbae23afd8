"""
Judges the alarms of a run against the truth of a generated history.

An onset is a day on which a usage risk signal of severity warning or above fired for an account that had none open in
the 28 days before. It is false where the account behaves as it always did, or grows, or moves its use to an agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from services.backtest.domain.grid import FEWEST_WEEKS, RULES_FROM_WEEKS, WEEK
from services.backtest.generator.stories import LOSSES, AccountStory, Truth

LEARNING_DAYS = FEWEST_WEEKS * WEEK
"""An account's first days, in which no rule is measured."""
AFTER_VACATION_DAYS = 28
"""The windows of four weeks that hold a vacation end so long after it: an onset there is that of the vacation."""
RECOVERY_DAYS = 42
"""So long after a vacation an account counts as ordinary again."""


@dataclass(frozen=True, slots=True)
class Found:
    """How many of some cases were alarmed, and after how many days (None without any)."""

    cases: int
    alarmed: int
    median_days: float | None = None

    @property
    def share(self) -> float | None:
        """The share of cases that were alarmed; None without any case."""
        return self.alarmed / self.cases if self.cases else None


@dataclass(frozen=True, slots=True)
class Rate:
    """False onsets in ordinary account-weeks."""

    onsets: int
    account_weeks: float
    before_rules: float
    """Those of them in which the account was too young for Tidemark's usage rules."""

    @property
    def share_before_rules(self) -> float:
        """The share of account-weeks in which only the plainest rules can raise an alarm; not a number without any week."""
        return self.before_rules / self.account_weeks if self.account_weeks else float("nan")

    @property
    def per_1000(self) -> float | None:
        """False onsets per 1,000 account-weeks; None without any week."""
        return 1000 * self.onsets / self.account_weeks if self.account_weeks else None


@dataclass(frozen=True, slots=True)
class Figures:
    """How well the alarms of one run fit the truth."""

    sudden_stop: Found
    """Within 14 days."""
    sudden_stop_above_3: Found
    """Accounts with more than three people, within 10 days."""
    seat_loss: Found
    """Within 60 days."""
    slow_decay: Found
    """Within 60 days of its beginning."""
    vacations: Mapping[str, Found]
    """Vacations alarmed, by kind: told, calendar, untold, and `all`."""
    agent_moves: Found
    """Moves to an agent or the API that were alarmed within 90 days."""
    growth: Found
    """Growing accounts that were alarmed within 90 days."""
    false: Rate
    false_in_holidays: Rate
    """Within seven days after a public holiday of the account's country, or after an outage."""


def found(truth: Truth, onsets: Mapping[str, Iterable[int]]) -> Figures:
    """
    Judge onsets against the truth.

    Args:
        truth: what `generate` gave.
        onsets: by account the days (days since 1970) of onsets; accounts may be missing.

    Raises:
        ValueError: an account is not in the truth.
    """
    days = {account: sorted(each) for account, each in onsets.items()}
    unknown = days.keys() - {story.account for story in truth.stories}
    if unknown:
        raise ValueError(f"onsets: {min(unknown)!r} is no account of this history")

    def alarmed(storyline: str, within: int, above: int = 0, kind: str | None = None) -> Found:
        cases = [
            story
            for story in truth.stories
            if story.storyline == storyline and story.people > above and kind in {None, story.kind}
        ]
        delays = [delay for story in cases if (delay := _delay(story, days.get(story.account, []), within)) is not None]
        return Found(len(cases), len(delays), median(delays) if delays else None)

    kinds = sorted({story.kind for story in truth.stories if story.storyline == "vacation"})
    return Figures(
        sudden_stop=alarmed("sudden_stop", 14),
        sudden_stop_above_3=alarmed("sudden_stop", 10, above=3),
        seat_loss=alarmed("seat_loss", 60),
        slow_decay=alarmed("slow_decay", 60),
        vacations={kind: alarmed("vacation", 0, kind=kind) for kind in kinds} | {"all": alarmed("vacation", 0)},
        agent_moves=alarmed("agent_move", 90),
        growth=alarmed("growth", 90),
        false=_rate(truth, days, holidays_only=False),
        false_in_holidays=_rate(truth, days, holidays_only=True),
    )


def _delay(story: AccountStory, onsets: list[int], within: int) -> int | None:
    """Return the days from the story's onset to the first alarm; a vacation's alarm may come until it is forgotten."""
    assert story.onset_day is not None
    last = story.onset_day + within
    if story.storyline == "vacation":
        assert story.end_day is not None
        last = story.end_day + AFTER_VACATION_DAYS
    return next((day - story.onset_day for day in onsets if story.onset_day <= day <= last), None)


def _rate(truth: Truth, onsets: Mapping[str, list[int]], *, holidays_only: bool) -> Rate:
    false, ordinary, before_rules = 0, 0, 0
    for story in truth.stories:
        days = set(_ordinary(story, truth))
        if holidays_only:
            free = truth.holidays[story.country] | truth.outages
            days &= {day + after for day in free for after in range(7)}
        ordinary += len(days)
        before_rules += sum(day < story.begins_day + RULES_FROM_WEEKS * WEEK for day in days)
        false += sum(day in days for day in onsets.get(story.account, ()))
    return Rate(false, ordinary / WEEK, before_rules / WEEK)


def _ordinary(story: AccountStory, truth: Truth) -> Iterator[int]:
    """Yield the days on which an alarm would be false."""
    end = truth.first_day + truth.days
    first = story.begins_day + LEARNING_DAYS
    if story.onset_day is None or story.storyline not in LOSSES | {"vacation"}:
        yield from range(first, end)
        return
    yield from range(first, story.onset_day)
    if story.storyline == "vacation":
        assert story.end_day is not None
        yield from range(story.end_day + RECOVERY_DAYS, end)
