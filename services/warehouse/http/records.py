"""Questions about signals, and about what stands behind the answers: people, measures, and how much is stored."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.measures import MEASURES
from services.shared.tracking_plan.losses import loss_of
from services.shared.units import DAY_MS
from services.warehouse.domain import filters, ordering, parameters, presentation
from services.warehouse.domain.filters import AccountFilter, SignalFilter
from services.warehouse.http.answers.accounts import SignalsAnswer
from services.warehouse.http.answers.records import (
    ContactsAnswer,
    JudgementsAnswer,
    KnownMeasuresAnswer,
    LossesAnswer,
    MeasuresAnswer,
    PersonAnswer,
    TotalsAnswer,
    WhoAnswer,
)
from services.warehouse.http.question import (
    AT,
    CURSOR,
    Asked,
    NotFound,
    Question,
    Told,
    as_of,
    in_time,
    limit,
    paged,
    standing,
)
from services.warehouse.ports import Found, LatestRecords

_RECORDED_DAYS = 90
_NOTHING = LatestRecords([], 0)


def _signals(asked: Asked) -> Told:
    given = asked.given
    wanted = SignalFilter(
        account=given["account"],
        rule=given["rule"],
        categories=given["category"],
        severities=given["severity"],
        owners=given["owner"],
        transitions=given["transition"],
        since_ms=given["since"],
        open_only=bool(given["open"]),
        historical=given["historical"],
        order_by=given["order"],
        limit=given["limit"],
        until_day=given["at"],
    )
    rows, page = paged(wanted, given["cursor"], asked.store.signals)
    if wanted.open_only:
        rows = standing(asked, rows)
    return {"signals": [presentation.signal(each) for each in rows], **page}


def _person(asked: Asked) -> Told:
    user = asked.path["user"]
    known = asked.store.people([user])
    if user not in known:
        raise NotFound("no_such_person", "user", f"nobody is known as {user[:100]!r}, or not any more")
    return {"user": user, "user_id": known[user]}


def _measures(_: Asked) -> Told:
    return {"measures": [presentation.measure(name) for name in MEASURES], "total": len(MEASURES), "next": None}


def _known_measures(asked: Asked) -> Told:
    found = asked.store.known_measures()
    accounts = asked.store.accounts(AccountFilter(limit=0)).total
    return {
        "measures": found,
        "accounts": accounts,
        "as_of": in_time(as_of(asked)),
        "total": len(found),
        "next": None,
    }


def _losses(asked: Asked) -> Told:
    told, without = [], []
    found = asked.store.losses()
    for row in found.rows:
        at = presentation.time_of(row["occurred_at"])
        if loss := loss_of(row["properties"]):
            date = presentation.date_of(loss.day)
            told.append({"account": row["account"], "date": date, "reason": loss.reason, "recorded_at": at})
        else:
            without.append({"account": row["account"], "recorded_at": at})
    # Of those that are left out nothing is known but their number.
    return {
        "losses": told,
        "without_day": without,
        "total": found.total - len(without),
        "next": None,
        "truncated": _is_cut(found),
    }


def _contacts(asked: Asked) -> Told:
    known_until = as_of(asked)
    found = _NOTHING if known_until is None else asked.store.contacts(known_until - _RECORDED_DAYS * DAY_MS)
    return {"contacts": _timed(found.rows), "total": found.total, "next": None, "truncated": _is_cut(found)}


def _judgements(asked: Asked) -> Told:
    known_until = as_of(asked)
    until = None if (day := asked.given["at"]) is None else filters.end_of(day)
    found = _NOTHING if known_until is None else asked.store.judgements(known_until - _RECORDED_DAYS * DAY_MS, until)
    return {"judgements": _timed(found.rows), "total": found.total, "next": None, "truncated": _is_cut(found)}


def _is_cut(found: LatestRecords) -> bool:
    return len(found.rows) < found.total


def _timed(rows: Iterable[Found]) -> list[Told]:
    return [
        {"at": presentation.time_of(row["occurred_at"]), **{n: row[n] for n in row if n != "occurred_at"}}
        for row in rows
    ]


def _whoami(asked: Asked) -> Told:
    return {"name": asked.token_name or "", "open": asked.token_name is None}


def _totals(asked: Asked) -> Told:
    found = asked.store.totals()
    return {"totals": found, "total": len(found), "next": None}


QUESTIONS = (
    Question(
        "/v1/signals",
        "Signals; with `open`, the last transition of each episode that is not resolved.",
        _signals,
        SignalsAnswer,
        (
            parameters.TextParameter("account", "Only of this account.", 20_000),
            parameters.TextParameter("rule", "Only of this rule."),
            parameters.ChoicesParameter("category", "Risk, expansion.", filters.CATEGORIES),
            parameters.ChoicesParameter("severity", "Severities, with commas between.", filters.SEVERITIES),
            parameters.TextsParameter("owner", "Owners, with commas between."),
            parameters.ChoicesParameter("transition", "Transitions, with commas between.", filters.TRANSITIONS),
            parameters.TimeParameter(
                "since", "Only those later than this; the midnight that ends a day belongs to it."
            ),
            parameters.FlagParameter("open", "Only open ones."),
            parameters.FlagParameter("historical", "Only those that a backfill caused, or only the others."),
            parameters.ChoiceParameter(
                "order",
                "`latest` first, or as to `work` on them: risk, then severity, revenue and the nearest renewal.",
                tuple(ordering.SIGNAL_ORDERS),
                "latest",
            ),
            limit(),
            CURSOR,
            AT,
        ),
        names_people=True,
    ),
    Question(
        "/v1/people/{user}",
        "The user id that a pseudonym stands for, as long as it is known.",
        _person,
        PersonAnswer,
    ),
    Question(
        "/v1/measures",
        "The record of each measure: label, meaning, unit, dimension.",
        _measures,
        MeasuresAnswer,
    ),
    Question(
        "/v1/losses",
        "Accounts that people recorded as lost, the latest record of each: the list of lost customers of a back-test.",
        _losses,
        LossesAnswer,
    ),
    Question(
        "/v1/contacts",
        "The last contact with each account that people recorded in the last 90 days.",
        _contacts,
        ContactsAnswer,
    ),
    Question(
        "/v1/judgements",
        "The last judgement of each episode of a signal that people recorded in the last 90 days.",
        _judgements,
        JudgementsAnswer,
        (AT,),
    ),
    Question("/v1/totals", "Rows, and rows with identities of their own, of each topic.", _totals, TotalsAnswer),
    Question("/v1/whoami", "Who has the token that was sent.", _whoami, WhoAnswer),
    Question(
        "/v1/measures/known",
        "Of how many accounts each measure is known now, and of how many it is above 0.",
        _known_measures,
        KnownMeasuresAnswer,
    ),
)
