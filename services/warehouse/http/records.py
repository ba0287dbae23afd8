"""Questions about signals, and about what stands behind the answers: people, measures, and how much is stored."""

from __future__ import annotations

from schemas.measures import MEASURES
from services.warehouse.domain import filters, ordering, parameters, presentation
from services.warehouse.domain.filters import SignalFilter
from services.warehouse.http import answers
from services.warehouse.http.question import AT, CURSOR, Asked, NotFound, Question, Told, limit, paged


def _signals(asked: Asked) -> Told:
    given = asked.given
    wanted = SignalFilter(
        account=given["account"],
        rule=given["rule"],
        categories=given["category"],
        severities=given["severity"],
        owners=given["owner"],
        open_only=bool(given["open"]),
        historical=given["historical"],
        order_by=given["order"],
        limit=given["limit"],
        until_day=given["at"],
    )
    rows, page = paged(wanted, given["cursor"], asked.store.signals)
    return {"signals": [presentation.signal(each) for each in rows], **page}


def _person(asked: Asked) -> Told:
    user = asked.path["user"]
    known = asked.store.people([user])
    if user not in known:
        raise NotFound("no_such_person", "user", f"nobody is known as {user[:100]!r}, or not any more")
    return {"user": user, "user_id": known[user]}


def _measures(_: Asked) -> Told:
    return {"measures": [presentation.measure(name) for name in MEASURES], "total": len(MEASURES), "next": None}


def _totals(asked: Asked) -> Told:
    found = asked.store.totals()
    return {"totals": found, "total": len(found), "next": None}


QUESTIONS = (
    Question(
        "/v1/signals",
        "Signals; with `open`, the last transition of each episode that is not resolved.",
        _signals,
        answers.SignalsAnswer,
        (
            parameters.TextParameter("account", "Only of this account.", 20_000),
            parameters.TextParameter("rule", "Only of this rule."),
            parameters.ChoicesParameter("category", "Risk, expansion.", filters.CATEGORIES),
            parameters.ChoicesParameter("severity", "Severities, with commas between.", filters.SEVERITIES),
            parameters.TextsParameter("owner", "Owners, with commas between."),
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
        answers.PersonAnswer,
    ),
    Question(
        "/v1/measures",
        "The record of each measure: label, meaning, unit, dimension.",
        _measures,
        answers.MeasuresAnswer,
    ),
    Question(
        "/v1/totals", "Rows, and rows with identities of their own, of each topic.", _totals, answers.TotalsAnswer
    ),
)
