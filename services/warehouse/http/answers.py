"""
The shapes of answers, for the OpenAPI document.

Dates and times are ISO 8601 in UTC, scores are points with one decimal. A null `next` ends a list; otherwise it is the `cursor`
of the page to follow.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Band = Literal["LEARNING", "UNKNOWN", "RED", "YELLOW", "GREEN"]
Stage = Literal["UNKNOWN", "ONBOARDING", "ADOPTION", "ONGOING", "RENEWAL"]


class ListAnswer(TypedDict):
    """What every list has beside its things."""

    total: int
    next: str | None


class OpenSignalsAnswer(TypedDict):
    """How many signals of an account are open: risks by severity, and chances."""

    critical: int
    warning: int
    info: int
    expansion: int


class WeekAnswer(TypedDict):
    """What was known at the end of a week, which ended on `day`."""

    day: str
    score: float
    band: Band


class ListedAccountAnswer(TypedDict):
    """An account in a list."""

    account: str
    name: str
    owner: str
    revenue: float | None
    seats: int | None
    stage: Stage
    band: Band
    coverage: float
    score: float
    previous_score: float | None
    risk_tenth: int | None
    risk_percent: float | None
    risk_predicts: str | None
    silent_days: int | None
    last_active: str | None
    renewal_date: str | None
    sequence: int
    day: str | None
    at: str
    open_signals: OpenSignalsAnswer
    weeks: NotRequired[list[WeekAnswer | None]]


class AccountsAnswer(ListAnswer):
    """A page of accounts."""

    accounts: list[ListedAccountAnswer]
    as_of: str | None


class WordsAnswer(TypedDict):
    """The name of a measure, and how people call it."""

    name: str
    label: str
    dimension: str
    unit: str


class MeasureValueAnswer(WordsAnswer):
    """A measure of an account."""

    value: float


class PartAnswer(WordsAnswer):
    """A part of a score: `points` of it, `change` since the snapshot before."""

    score: int
    weight: float
    points: float
    change: float


class RiskPartAnswer(WordsAnswer):
    """What a measure adds to the log-odds of the risk, compared with a usual account."""

    log_odds: float


class RiskAnswer(TypedDict):
    """The risk as log-odds, which its parts add up to; in per cent where the model was fitted on own losses."""

    log_odds: float
    risk_percent: float | None
    risk_predicts: str | None
    parts: list[RiskPartAnswer]


class FactsAnswer(TypedDict):
    """What is known of an account by its facts."""

    name: str | None
    owner: str | None
    revenue: float | None
    seats: int | None
    plan: str | None
    contract_start: str | None
    renewal_date: str | None
    parent: str | None


class SnapshotAnswer(TypedDict):
    """A health snapshot, whole."""

    account: str
    sequence: int
    reason: str
    historical: bool
    stage: Stage
    band: Band
    coverage: float
    at: str
    day: str | None
    triggered_at: str | None
    score: float
    previous_score: float | None
    measures: list[MeasureValueAnswer]
    parts: list[PartAnswer]
    risk: RiskAnswer | None
    dates: dict[str, str | None]
    lowest_user: str
    facts: FactsAnswer
    model_version: str


class HistoryAnswer(ListAnswer):
    """A page of the history of an account, latest day first."""

    account: str
    history: list[SnapshotAnswer]


class HistoryPointAnswer(TypedDict):
    """One day of the short history."""

    day: str | None
    at: str
    band: Band
    stage: Stage
    score: float
    active_users_7: float | None
    active_users_28: float | None
    events_7: float | None
    silent_days: float | None


class ActiveDayAnswer(TypedDict):
    """What happened on one day."""

    day: str | None
    events: int
    active_users: int


class EvidenceAnswer(WordsAnswer):
    """A measure that speaks for a signal; `usual` is what it usually is, if that is known."""

    value: float
    usual: float | None


class SignalAnswer(TypedDict):
    """One transition of an episode."""

    signal_id: str
    episode_id: str
    account: str
    account_name: str
    rule: str
    category: str
    severity: str
    transition: str
    transition_number: int
    resolved_reason: str
    episode_started_at: str
    at: str
    historical: bool
    triggered_at: str | None
    title: str
    summary: str
    action: str
    evidence: list[EvidenceAnswer]
    owner: str
    revenue: float | None
    renewal_date: str | None
    stage: str
    band: str
    score: float
    health_sequence: int
    rules_version: str


class SignalsAnswer(ListAnswer):
    """A page of signals."""

    signals: list[SignalAnswer]


class AccountAnswer(TypedDict):
    """One account whole. `signals` are the latest 100 of `signals_total`."""

    account: str
    health: SnapshotAnswer | None
    risk_tenth: int | None
    risk_percent: float | None
    risk_predicts: str | None
    history: list[HistoryPointAnswer]
    activity: list[ActiveDayAnswer]
    signals: list[SignalAnswer]
    signals_total: int
    as_of: str | None


class EventAnswer(TypedDict):
    """An event, by its place on the log; `properties` and `extra` are JSON texts."""

    topic: str
    partition: int
    offset: int
    event_id: str
    id_source: str
    source: str
    environment: str
    account: str
    user: str
    user_id: str
    anonymous_id: str
    identified: bool
    internal: bool
    via: str
    actor: str
    kind: str
    name: str
    occurred_at: str
    received_at: str
    skew_ms: int
    epoch: int
    historical: bool
    properties: str
    extra: str


class EventsAnswer(TypedDict):
    """A page of events. `total` is null where the account has more than 200,000: counting different ones takes too long."""

    total: int | None
    next: str | None
    account: str
    events: list[EventAnswer]


class AccountPersonAnswer(TypedDict):
    """Somebody of an account, as far as the days that were asked for tell."""

    user: str
    user_id: str | None
    first_active: str | None
    last_active: str | None
    active_days: int
    active_days_28: int
    state: Literal["joined", "active", "quiet", "left"]


class PeopleAnswer(ListAnswer):
    """A page of people."""

    account: str
    people: list[AccountPersonAnswer]
    as_of: str | None


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


class MeasureAnswer(WordsAnswer):
    """The record of a measure."""

    meaning: str
    window_days: int | None
    fresh_days: int | None
    polarity: str
    evidence: dict[str, Any]
    needs: list[str]


class MeasuresAnswer(ListAnswer):
    """All measures."""

    measures: list[MeasureAnswer]


class KnownMeasureAnswer(TypedDict):
    """Of how many accounts a measure is known now, and of how many it is above 0."""

    name: str
    known: int
    positive: int


class KnownMeasuresAnswer(ListAnswer):
    """Which measures are known of how many accounts; those that are known of none are left out."""

    measures: list[KnownMeasureAnswer]
    accounts: int
    as_of: str | None


class WhoAnswer(TypedDict):
    """Who asks: the name of the token, empty where there are no tokens."""

    name: str
    open: bool


class PersonAnswer(TypedDict):
    """Who stands behind a pseudonym."""

    user: str
    user_id: str


class TotalAnswer(TypedDict):
    """How much is stored of a topic."""

    topic: str
    rows: int
    unique: int


class TotalsAnswer(ListAnswer):
    """How much is stored."""

    totals: list[TotalAnswer]


class ProblemAnswer(TypedDict):
    """Why a question was not answered, and what to do (RFC 9457). `field` names the parameter at fault, if one is."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str
