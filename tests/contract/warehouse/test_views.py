"""Every documented view against plain Python, over a history that went through the engine's own fold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from schemas.measures import named
from services.shared.units import DAY_MS, date_of
from services.warehouse.clickhouse.migrations import FOLDER
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.domain.rows import Place
from services.warehouse.views import VIEWS
from tests.contract.warehouse.made_history import DAYS, STARTS, History, as_rows, history
from tests.contract.warehouse.stored import T0, health, signal
from tests.contract.warehouse.stored import event as stored_event
from tests.support.health_rows import forgotten
from tests.support.scorer import DAY, UsageLane, at, event

Row = dict[str, Any]
GONE = "globex"
"""Whom the scorer has forgotten in the end."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    store = open_embedded(tmp_path_factory.mktemp("views") / "clickhouse", "tidemark")
    for table, rows in history().rows.items():
        store.insert(table, rows)
    gone = forgotten(Place("account-health", 0, 1_000_000, at(DAYS)), GONE)
    store.insert("account_health", [gone])
    store.insert(
        "signals",
        [
            signal(1, "acme", "nps", 1, "FIRING"),
            signal(2, "acme", "silent", 1, "FIRING"),
            signal(3, "acme", "silent", 2, "RESOLVED"),
            signal(4, "initech", "seats", 1, "FIRING", category="EXPANSION", severity="INFO"),
            signal(5, "acme", "usage_decline", 1, "FIRING", severity="INFO"),
            signal(6, "umbrella", "usage_decline", 1, "FIRING", severity="INFO"),
        ],
    )
    yield store
    store.close()


def asked(store: ClickHouseStore, view: str) -> list[Row]:
    result = store._writer.query(f"SELECT * FROM {view} ORDER BY {VIEWS[view].order}")
    return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]


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
        if each["environment"] == "production" and not each["internal"] and each["kind"] in ("TRACK", "PAGE", "SCREEN")
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


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_says_what_plain_python_says(filled: ClickHouseStore, view: str) -> None:
    wanted = PLAIN[view](history())

    found = asked(filled, view)

    assert len(found) == len(wanted) > 2
    for row, plain in zip(found, wanted, strict=True):
        assert {name: rounded(row[name]) for name in plain} == {name: rounded(value) for name, value in plain.items()}


def rounded(value: Any) -> Any:
    return round(value, 9) if isinstance(value, float) else value


def test_an_event_that_the_scorer_refuses_as_too_late_happened_all_the_same(server_store: ClickHouseStore) -> None:
    """The scorer remembers 256 days; the warehouse has no such bound, and an account began when it began."""
    late: Row = {"occurred_at": T0 - 300 * DAY_MS, "received_at": T0, "account": "acme", "name": "Exported"}
    server_store.insert(
        "events", [stored_event(1, "late", **late), stored_event(2, "now", **late | {"occurred_at": T0})]
    )

    retention = asked(server_store, "retention_by_cohort")
    (adoption,) = asked(server_store, "feature_adoption")

    begun = date(2025, 2, 1)
    assert {row["cohort"] for row in retention} == {begun} == {adoption["cohort"]}
    assert [row["months_after"] for row in retention if row["active_accounts"]] == [0, 10]
    assert adoption["median_days_to_first_use"] == 0


def test_what_happens_after_the_close_of_a_day_belongs_to_the_next_one(server_store: ClickHouseStore) -> None:
    lane = UsageLane()
    lane.event("e1", when=at(0, 9))
    lane.close(0)
    lane.event("e2", when=at(1, 12), name="Ticket Opened", properties={"ticket_id": "t1"})
    lane.tick(at(1, 13))
    assert [(each["day"] - DAY, each["reason"]) for each in lane.snapshots()][-1] == (0, "URGENT")
    server_store.insert("account_health", as_rows("account-health", "account_health", lane.snapshots()))
    opened = [(row["date"], row["tickets_open"]) for row in asked(server_store, "support_load")]
    lane.close(1)
    server_store.insert("account_health", as_rows("account-health", "account_health", lane.snapshots()))

    days = [day_of(DAY), day_of(DAY + 1)]
    assert opened == [(days[0], 0)]
    assert [(row["date"], row["tickets_open"]) for row in asked(server_store, "support_load")] == [
        *opened,
        (days[1], 1),
    ]
    assert [row["date"] for row in asked(server_store, "health_by_day")] == days


def test_the_part_of_a_week_in_which_an_account_began_is_no_week_before(server_store: ClickHouseStore) -> None:
    began = {"a": 5, "b": 7, "c": 12}
    uses = [
        event(f"{account}/{user}/{day}", account, user, at(-day, 9))
        for account, before in began.items()
        for user in ("ann", "bob")
        for day in range(7 + before)
    ]
    server_store.insert("events", as_rows("usage-events", "usage_event", uses))
    server_store.insert("account_health", [health(1, "a", day=DAY)])

    found = {row["account"]: row for row in asked(server_store, "week_against_usual")}

    told = {account: (row["weeks_before"], row["usual_person_days"], row["level"]) for account, row in found.items()}
    assert told == {"a": (0, None, None), "b": (1, 14, 1), "c": (1, 14, 1)}
    assert {account: row["usual_events"] for account, row in found.items()} == {"a": None, "b": 14, "c": 14}


def test_an_account_that_was_forgotten_is_no_fall_to_nothing(server_store: ClickHouseStore) -> None:
    """One that goes by another id since yesterday was used until then, and is used no more."""
    uses = [event(f"{name}/{day}", name, "ann", at(-day, 9)) for name in ("crm-17", "acme") for day in range(7, 70)]
    server_store.insert("events", as_rows("usage-events", "usage_event", uses))
    server_store.insert("account_health", [health(1, "crm-17", day=DAY), health(2, "acme", day=DAY)])
    before = [row["account"] for row in asked(server_store, "week_against_usual")]

    server_store.insert("account_health", [forgotten(Place("account-health", 0, 3, at(1)), "crm-17")])
    after = [row["account"] for row in asked(server_store, "week_against_usual")]
    server_store.insert("account_health", [health(4, "crm-17", day=DAY)])
    heard_of_again = [row["account"] for row in asked(server_store, "week_against_usual")]

    assert before == heard_of_again == ["acme", "crm-17"]
    assert after == ["acme"]


def test_no_view_asks_for_the_day_that_it_is_where_the_server_stands() -> None:
    for file in sorted(FOLDER.glob("*.sql")):
        assert not re.findall(r"\btoday\(|\bnow\(\)", file.read_text("utf-8")), file.name


def test_the_history_has_what_the_views_tell_apart(filled: ClickHouseStore) -> None:
    assert {row["account"] for row in asked(filled, "accounts_today")} == set(STARTS) - {GONE}
    assert any(row["silent_days"] for row in asked(filled, "health_by_day"))
    assert any(row["median_ticket_hours"] for row in asked(filled, "support_load"))
    assert any(0 < row["adopted_share"] < 1 for row in asked(filled, "feature_adoption"))
    assert any(0 < row["active_share"] < 1 for row in asked(filled, "retention_by_cohort"))
    assert {row["weeks_before"] for row in asked(filled, "week_against_usual")} >= {30, 4, 0}


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_warehouse_gives_an_empty_view(tmp_path: Path, server_store: ClickHouseStore, view: str) -> None:
    assert asked(server_store, view) == []


def test_the_page_names_every_view_and_column_in_order(filled: ClickHouseStore, project_root: Path) -> None:
    page = (project_root / "docs" / "sql.md").read_text("utf-8")
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))

    assert list(sections) == list(VIEWS)
    for view, text in sections.items():
        columns = filled._writer.query(f"SELECT * FROM {view} LIMIT 0").column_names
        assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(columns), view


def test_every_example_of_the_page_runs(filled: ClickHouseStore, project_root: Path) -> None:
    page = (project_root / "docs" / "sql.md").read_text("utf-8")
    examples = re.findall(r"^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)

    assert len(examples) >= len(VIEWS)
    for example in examples:
        assert filled._writer.query(example).result_rows, example


def test_the_example_of_adoption_counts_the_accounts_of_all_months(filled: ClickHouseStore, project_root: Path) -> None:
    page = (project_root / "docs" / "sql.md").read_text("utf-8")
    (example,) = [
        each for each in re.findall(r"^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "all_accounts" in each
    ]
    accounts = len(started(history()))
    used = {row["feature"]: 0 for row in asked(filled, "feature_adoption")}
    for row in asked(filled, "feature_adoption"):
        used[row["feature"]] += row["adopted_accounts"]

    shares = {feature: share for feature, share in filled._writer.query(example).result_rows}  # noqa: C416  rows of two

    assert len({row["cohort"] for row in asked(filled, "feature_adoption")}) > 1
    assert shares == {feature: pytest.approx(count / accounts) for feature, count in used.items()}
