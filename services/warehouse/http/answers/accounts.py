"""Shapes of lists, and of what is told of accounts and their signals."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Band = Literal["LEARNING", "UNKNOWN", "RED", "YELLOW", "GREEN"]
Stage = Literal["UNKNOWN", "ONBOARDING", "ADOPTION", "ONGOING", "RENEWAL"]
Category = Literal["UNKNOWN", "RISK", "EXPANSION"]
Severity = Literal["UNKNOWN", "INFO", "WARNING", "CRITICAL"]
Transition = Literal["UNKNOWN", "FIRING", "UPDATED", "RESOLVED"]
ResolvedReason = Literal["", "recovered", "inhibited", "expired", "forgotten"]


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
    away: NotRequired[Literal["absence", "holidays"] | None]
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
    counted: dict[str, list[str]]
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
    """Use of the product on one day, by the tracking plan that ingest had."""

    day: str | None
    events: int
    active_users: int


class EvidenceAnswer(WordsAnswer):
    """
    A measure that speaks for a signal; `usual` is what it usually is, if known.

    Of open signals: what it is `now`, and what is usual now. A `now` stands beside `usual_now`, a `value` beside `usual`.
    """

    value: float
    usual: float | None
    now: NotRequired[float | None]
    usual_now: NotRequired[float | None]


class SignalAnswer(TypedDict):
    """
    One transition of an episode; `resolved_reason` is empty while it is open.

    Of open signals, `eased` says whether what it rests on has come back half of the way or more.
    """

    signal_id: str
    episode_id: str
    account: str
    account_name: str
    rule: str
    category: Category
    severity: Severity
    transition: Transition
    transition_number: int
    resolved_reason: ResolvedReason
    episode_started_at: str
    at: str
    historical: bool
    triggered_at: str | None
    title: str
    summary: str
    action: str
    evidence: list[EvidenceAnswer]
    eased: NotRequired[bool]
    owner: str
    revenue: float | None
    renewal_date: str | None
    stage: Stage
    band: Band
    score: float
    health_sequence: int
    rules_version: str


class SignalsAnswer(ListAnswer):
    """A page of signals."""

    signals: list[SignalAnswer]


class AccountAnswer(TypedDict):
    """
    One account whole. `signals` are the latest 100 of `signals_total`.

    Where `activity_exact` is false, numbers of events are estimates, within about one in a hundred.
    """

    account: str
    health: SnapshotAnswer | None
    risk_tenth: int | None
    risk_percent: float | None
    risk_predicts: str | None
    history: list[HistoryPointAnswer]
    activity: list[ActiveDayAnswer]
    activity_exact: bool
    signals: list[SignalAnswer]
    signals_total: int
    as_of: str | None


class EventAnswer(TypedDict):
    """
    An event, by its place on the log; `properties` and `extra` are JSON texts.

    `use` says whether the tracking plan that ingest had counts it as use of the product.
    """

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
    use: bool
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
