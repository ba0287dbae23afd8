"""Each documented view in plain Python, worked out from what happened in a history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from statistics import median
from typing import Any

from schemas.measures import named
from services.shared.units import DAY_MS, date_of
from tests.contract.warehouse.made_history import History

Row = dict[str, Any]
GONE = "globex"
"""Whom the scorer has forgotten in the end."""


def day_of(days: int | None) -> date | None:
    return None if days is None or days < 0 else date_of(days)


def month_of(day: date) -> date:
    return day.replace(day=1)


def agent(each: Row) -> bool:
    return each.get("actor") in ("AGENT", "INTEGRATION")


def counted(made: History) -> list[Row]:
    """Return the events that are use of the product, each once, with their day."""
    seen = {each["event_id"]: each for each in made.events}
    return [
        {**each, "day": date_of(each["occurred_at"] // DAY_MS)}
        for each in seen.values()
        if each["environment"] == "production" and not each["internal"] and each["use"]
    ]


def closes(made: History) -> dict[tuple[str, date], Row]:
    found = {}
    for snapshot in made.snapshots:
        day = day_of(snapshot["day"])
        assert day is not None
        if snapshot["reason"] == "DAY_CLOSE":
            found[snapshot["account"], day] = snapshot
    return found


def latest(made: History) -> dict[str, Row]:
    return {each["account"]: each for each in made.snapshots if each["account"] != GONE}


def started(made: History) -> dict[str, date]:
    found: dict[str, date] = {}
    for each in counted(made):
        found[each["account"]] = min(each["day"], found.get(each["account"], each["day"]))
    return found


def accounts_today(made: History) -> list[Row]:
    rows = []
    for account, snapshot in sorted(latest(made).items()):
        measures, facts = named(snapshot["measures"]), snapshot["facts"]
        rows.append(
            {
                "account": account, "name": facts["name"], "owner": facts["owner"], "plan": facts["plan"],
                "revenue": facts["revenue"], "seats": facts["seats"], "band": snapshot["band"],
                "stage": snapshot["stage"], "score": snapshot["score_tenths"] / 10,
                "score_change": (snapshot["score_tenths"] - snapshot["previous_score_tenths"]) / 10,
                "coverage": snapshot["coverage"], "active_users_7": measures.get("active_users_7"),
                "active_users_28": measures.get("active_users_28"), "seat_use": measures.get("seat_use"),
                "level_4_weeks": measures.get("level_4w"), "silent_days": measures.get("silent_days"),
                "last_active_on": day_of(snapshot["dates"].get("last_activity")),
                "contract_start": day_of(facts["contract_start_day"]), "renewal_on": day_of(facts["renewal_day"]),
                "tickets_open": measures.get("tickets_open"), "survey_mean": measures.get("survey_mean"),
                "open_risks": int(account == "acme"), "open_expansions": int(account == "initech"),
                "date": day_of(snapshot["day"]),
            }
        )  # fmt: skip
    return rows


def health_by_day(made: History) -> list[Row]:
    rows = []
    for (account, day), snapshot in sorted(closes(made).items()):
        measures, facts = named(snapshot["measures"]), snapshot["facts"]
        rows.append(
            {
                "account": account, "date": day, "band": snapshot["band"], "stage": snapshot["stage"],
                "score": snapshot["score_tenths"] / 10, "coverage": snapshot["coverage"],
                "active_users_7": measures.get("active_users_7"), "active_users_28": measures.get("active_users_28"),
                "events_7": measures.get("events_7"), "level_1_week": measures.get("level_1w"),
                "level_4_weeks": measures.get("level_4w"), "silent_days": measures.get("silent_days"),
                "value_days_28": measures.get("value_days_28"), "name": facts["name"] or "",
                "owner": facts["owner"] or "", "revenue": facts["revenue"], "seats": facts["seats"],
                "historical": snapshot["historical"],
            }
        )  # fmt: skip
    return rows


def onboarding_funnel(made: History) -> list[Row]:
    cohorts: dict[date, list[Row]] = defaultdict(list)
    for snapshot in latest(made).values():
        start = day_of(snapshot["facts"]["contract_start_day"] or snapshot["dates"].get("first_activity"))
        assert start is not None
        cohorts[month_of(start)].append({**snapshot, "start": start})
    rows = []
    for cohort, members in sorted(cohorts.items()):
        values = [(each, day_of(each["dates"].get("first_value"))) for each in members]
        took = [(value - each["start"]).days for each, value in values if value is not None]
        onboarded = [each for each in members if each["stage"] in ("ONGOING", "RENEWAL")]
        rows.append(
            {
                "cohort": cohort, "started": len(members), "active": len(members), "reached_value": len(took),
                "reached_value_in_7_days": sum(days <= 7 for days in took),
                "reached_value_in_30_days": sum(days <= 30 for days in took),
                "reached_value_in_90_days": sum(days <= 90 for days in took),
                "median_days_to_value": median(took) if took else None, "onboarded": len(onboarded),
                "onboarded_and_active": sum(named(each["measures"])["silent_days"] < 28 for each in onboarded),
            }
        )  # fmt: skip
    return rows


def feature_adoption(made: History) -> list[Row]:
    begin, rows = started(made), []
    uses: dict[tuple[date, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for each in counted(made):
        if each["kind"] == "TRACK":
            uses[month_of(begin[each["account"]]), each["name"]][each["account"]].append(each)
    for (cohort, feature), by_account in sorted(uses.items()):
        members = sum(month_of(day) == cohort for day in begin.values())
        first = [(min(e["day"] for e in used) - begin[account]).days for account, used in by_account.items()]
        rows.append(
            {
                "cohort": cohort, "feature": feature, "accounts": members, "adopted_accounts": len(by_account),
                "adopted_share": len(by_account) / members,
                "adopted_people": sum(len({e["user"] for e in used if not agent(e)}) for used in by_account.values()),
                "median_days_to_first_use": median(first),
            }
        )  # fmt: skip
    return rows


def retention_by_cohort(made: History) -> list[Row]:
    begin, rows = started(made), []
    active = {(each["account"], month_of(each["day"])) for each in counted(made)}
    last = max(month for _, month in active)
    for cohort in sorted({month_of(day) for day in begin.values()}):
        members = [account for account, day in begin.items() if month_of(day) == cohort]
        month, after = cohort, 0
        while month <= last:
            there = sum((account, month) in active for account in members)
            rows.append(
                {
                    "cohort": cohort, "months_after": after, "accounts": len(members), "active_accounts": there,
                    "active_share": there / len(members),
                }
            )  # fmt: skip
            month, after = month_of(month + timedelta(days=32)), after + 1
    return rows


def week_against_usual(made: History) -> list[Row]:
    closed = max(day for _, day in closes(made))
    people: dict[tuple[str, date], set[str]] = defaultdict(set)
    events: dict[tuple[str, date], int] = defaultdict(int)
    for each in counted(made):
        if not agent(each):
            people[each["account"], each["day"]].add(each["user"])
        events[each["account"], each["day"]] += 1
    week = [closed - timedelta(days=n) for n in range(7)]
    before = [closed - timedelta(days=7 + n) for n in range(7 * 30)]
    rows = []
    for account, first in sorted(started(made).items()):
        if account == GONE:
            continue
        weeks = max(0, min(30, ((before[0] - first).days + 1) // 7))
        whole = before[: 7 * weeks]
        usual = sum(len(people[account, day]) for day in whole) / weeks if weeks else None
        now = sum(len(people[account, day]) for day in week)
        rows.append(
            {
                "account": account, "week_from": week[-1], "week_to": closed, "person_days": now,
                "events_of_week": sum(events[account, day] for day in week), "weeks_before": weeks,
                "usual_person_days": usual,
                "usual_events": sum(events[account, day] for day in whole) / weeks if weeks else None,
                "level": now / usual if usual else None,
            }
        )  # fmt: skip
    return rows


def support_load(made: History) -> list[Row]:
    rows = []
    for (account, day), snapshot in sorted(closes(made).items()):
        measures, facts = named(snapshot["measures"]), snapshot["facts"]
        if "tickets_open" in measures:
            wanted = (
                "tickets_open",
                "oldest_ticket_days",
                "tickets_opened_28",
                "tickets_closed_28",
                "median_ticket_hours",
            )
            said = {name: measures.get(name) for name in wanted}
            rows.append(
                {"account": account, "date": day, "name": facts["name"] or "", "owner": facts["owner"] or "", **said}
            )
    return rows


PLAIN: dict[str, Callable[[History], list[Row]]] = {
    each.__name__: each
    for each in (
        accounts_today, health_by_day, onboarding_funnel, feature_adoption, retention_by_cohort, week_against_usual,
        support_load,
    )
}  # fmt: skip
