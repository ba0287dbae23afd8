"""All that the measures may look at, worked out once for an evaluation of an account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.survey_answers import Sentiment
from services.scorer.domain.health.adoption import Adoption, adoption, roles_gone
from services.scorer.domain.health.lifecycle_stage import first_start, stage, start_day
from services.scorer.domain.health.usage import Usage, usage_of
from services.shared.tracking_plan.state_names import WELL_KNOWN
from services.shared.units import DAY_MS, HOUR_MS


class Support(NamedTuple):
    """What the tickets of an account say. Times are milliseconds since 1970 UTC."""

    open: int
    oldest_opened_at: int
    median_age_hours: float
    opened_28: int
    closed_28: int


class Known(NamedTuple):
    """What is known of an account. Days are days since 1970 UTC."""

    account: Account
    """The state itself, to be asked by name: `account.history("exports", known.day - 1)`. Only to be read."""
    at: int
    """Log time, milliseconds since 1970 UTC."""
    day: int
    """The day that ages are counted to: the one after the last closed one, as a rule today."""
    usage: Usage
    support: Support
    sentiment: Sentiment
    facts: Mapping[str, Any]
    stage: str
    started: int | None
    first_day: int
    """The day of the first activity; -1: none yet."""
    first_value_day: int
    """-1: none yet."""
    fleet_level: float
    newest: Mapping[str, int]
    """
    When the newest data of some state is from, by kind and name, milliseconds since 1970 UTC; 0: there is none.

    Of the state in AGES. A measure with `fresh_days` whose first need is not among these is refused at import.
    """
    adoption: Adoption | None = None
    """None: the plan declares no features."""
    roles_gone: Sequence[str] | None = None
    """Roles with nobody left; None: not known."""


AGES = ("answers.nps",)
"""State whose data grows old: measures of it may ask for fresh data."""


def known_of(account: Account, at: int, closed_day: int, levels: list[float], *, value_connected: bool) -> Known:
    """
    Return what is known of an account.

    Args:
        account: As its state has it.
        at: Log time, milliseconds since 1970 UTC.
        closed_day: The last one, days since 1970 UTC.
        levels: Of the fleet, week by week, the latest first.
        value_connected: Whether the deployment counts events of value and has had any.
    """
    facts: Mapping[str, Any] = {name: account.fact(name) for name in WELL_KNOWN}
    contract_start = first_start(account.fact_history("contract_start_day"))
    started = start_day(account.milestone("first_activity"), contract_start, closed_day + 1)
    answers = account.sentiment("nps", at)
    return Known(
        account=account,
        at=at,
        day=closed_day + 1,
        usage=usage_of(account, closed_day, levels, value_connected),
        support=_support(account, closed_day),
        sentiment=answers,
        facts=facts,
        stage=stage(closed_day + 1, started, account.milestone("first_value"), facts["renewal_day"]),
        started=started,
        first_day=account.milestone("first_activity"),
        first_value_day=account.milestone("first_value"),
        fleet_level=levels[0],
        newest={"answers.nps": answers.latest_at},
        adoption=adoption(account, closed_day) if account.kinds.features else None,
        roles_gone=roles_gone(account, closed_day),
    )


def _support(account: Account, day: int) -> Support:
    midnight = (
        day + 1
    ) * DAY_MS  # ages to here: such as move with the time of day would make every evaluation a snapshot
    since = account.open_since("tickets")
    opened, closed = account.history("tickets_opened", day), account.history("tickets_closed", day)
    return Support(
        open=len(since),
        oldest_opened_at=since[0] if since else 0,
        median_age_hours=max(0.0, midnight - median(since)) / HOUR_MS if since else 0.0,
        opened_28=(int(opened[-27:].sum()) if opened is not None else 0) + account.today("tickets_opened"),
        closed_28=(int(closed[-27:].sum()) if closed is not None else 0) + account.today("tickets_closed"),
    )
