"""Shapes of what is told of all accounts at once, and of what comes in."""

from __future__ import annotations

from typing import TypedDict

from services.warehouse.http.answers.accounts import Band, ListAnswer, PartAnswer, SignalAnswer, Stage


class StateAnswer(TypedDict):
    """Where an account stood."""

    score: float
    band: Band


ChangeAnswer = TypedDict(
    "ChangeAnswer",
    {
        "account": str,
        "name": str,
        "owner": str,
        "revenue": float | None,
        "from": StateAnswer,
        "to": StateAnswer,
        "why": list[PartAnswer],
    },
)


class TodayAnswer(TypedDict):
    """
    What changed since the end of the day before.

    `changes` are the first 100 of `changes_total`, those for the worse first; `signals` the first 100 of `total` open ones.
    """

    as_of: str | None
    changes: list[ChangeAnswer]
    changes_total: int
    signals: list[SignalAnswer]
    opened: int
    resolved: int
    total: int


class BandSumAnswer(TypedDict):
    """How many accounts were in a band, and their revenue."""

    accounts: int
    revenue: float


class PortfolioWeekAnswer(TypedDict):
    """The bands at the end of a week."""

    day: str | None
    bands: dict[Band, BandSumAnswer]


class PortfolioAccountAnswer(TypedDict):
    """One account of the picture."""

    account: str
    name: str
    owner: str
    score: float
    band: Band
    revenue: float | None
    stage: Stage
    renewal_date: str | None


class OwnerAnswer(TypedDict):
    """An owner, empty for none, and what they look after."""

    owner: str
    accounts: int
    revenue: float


class StageAnswer(TypedDict):
    """How many accounts are in a stage."""

    stage: Stage
    accounts: int


class PortfolioAnswer(ListAnswer):
    """The whole base; `accounts` are the 2,000 with the largest revenue, `owners` (1,000 at most) and `stages` those of all."""

    weeks: list[PortfolioWeekAnswer]
    accounts: list[PortfolioAccountAnswer]
    owners: list[OwnerAnswer]
    stages: list[StageAnswer]
    as_of: str | None


class ArrivalAnswer(TypedDict):
    """How many records of one kind came in during an hour."""

    hour: str
    name: str
    source: str
    environment: str
    kind: str
    events: int


class ActivityAnswer(ListAnswer):
    """
    What came in, latest hour first; at most 10,000 lines.

    `since` is the first hour that is told. Where there are more lines, `truncated` is true and it is the first whole one.
    """

    events: list[ArrivalAnswer]
    unattributed: list[ArrivalAnswer]
    since: str
    truncated: bool
    as_of: str


class ArrivedEventAnswer(TypedDict):
    """An event that was stored lately. `account` is empty as long as it is not known."""

    account: str
    user: str
    source: str
    environment: str
    kind: str
    name: str
    occurred_at: str
    received_at: str
    historical: bool


class ArrivedAnswer(ListAnswer):
    """The newest of the last 200 events that this process stored; `stored` is how many it has stored since it began."""

    events: list[ArrivedEventAnswer]
    stored: int


class RejectionAnswer(TypedDict):
    """
    What was refused for one reason, at one field, of one source.

    `letter` names the latest one for `tidemark rejected show`. `example` is its JSON, with kinds in the place of values.
    """

    by: str
    reason: str
    field: str
    source: str
    count: int
    last_at: str
    letter: str
    example: str


class RejectionsAnswer(ListAnswer):
    """What was refused since the beginning of an hour; `problem` says why something may be missing."""

    rejections: list[RejectionAnswer]
    problem: str
    since: str
    as_of: str
