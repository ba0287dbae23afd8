"""Shapes of what is told of measures, people, topics and who asks, and of errors."""

from __future__ import annotations

from typing import Any, TypedDict

from services.warehouse.http.answers.accounts import ListAnswer, WordsAnswer


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


class RecordedAnswer(ListAnswer):
    """The latest of what people recorded; where there is more, `truncated` is true, and `total` says how many there are."""

    truncated: bool


class LossAnswer(TypedDict):
    """When an account was lost, or will be, and why, as somebody recorded it last."""

    account: str
    date: str
    reason: str
    recorded_at: str


class DaylessLossAnswer(TypedDict):
    """A record of a loss that says no day as 2026-03-31, so a back-test cannot use it."""

    account: str
    recorded_at: str


class LossesAnswer(RecordedAnswer):
    """Losses that people recorded, the latest record first, 100,000 accounts at most."""

    losses: list[LossAnswer]
    without_day: list[DaylessLossAnswer]


class ContactAnswer(TypedDict):
    """When somebody was last in touch with an account, how, and who; empty where the record does not say it."""

    account: str
    at: str
    channel: str
    author: str


class ContactsAnswer(RecordedAnswer):
    """The last contact with each account in the last 90 days, the latest first, 10,000 accounts at most."""

    contacts: list[ContactAnswer]


class JudgementAnswer(TypedDict):
    """Whether a signal was `useful` or `not_useful`, in which severity, and who said so; empty where the record does not say it."""

    account: str
    at: str
    episode_id: str
    rule: str
    severity: str
    verdict: str
    author: str


class JudgementsAnswer(RecordedAnswer):
    """The last judgement of each episode in the last 90 days, the latest first, 10,000 episodes at most."""

    judgements: list[JudgementAnswer]


class TotalAnswer(TypedDict):
    """How much is stored of a topic. Above a million rows the numbers are estimates, and `exact` is false."""

    topic: str
    rows: int
    unique: int
    exact: bool


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
