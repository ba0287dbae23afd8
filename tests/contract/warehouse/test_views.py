"""Every documented view against plain Python, over a history that went through the engine's own fold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.shared.units import DAY_MS
from services.warehouse.clickhouse.migrations import FOLDER
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.domain.rows import Place
from services.warehouse.views import VIEWS
from tests.contract.warehouse.made_history import DAYS, STARTS, STOPS, as_rows, history
from tests.contract.warehouse.stored import T0, health, signal
from tests.contract.warehouse.stored import event as stored_event
from tests.contract.warehouse.views_in_python import GONE, PLAIN, Row, closes, day_of, started
from tests.support.health_rows import forgotten
from tests.support.scorer import DAY, UsageLane, at, event


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


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_says_what_plain_python_says(filled: ClickHouseStore, view: str) -> None:
    wanted = PLAIN[view](history())

    found = asked(filled, view)

    assert len(found) == len(wanted) > 2
    for row, plain in zip(found, wanted, strict=True):
        assert {name: rounded(row[name]) for name in plain} == {name: rounded(value) for name, value in plain.items()}


def rounded(value: Any) -> Any:
    return round(value, 9) if isinstance(value, float) else value


def test_an_account_that_left_is_not_retained_by_invoices_tickets_and_notes(server_store: ClickHouseStore) -> None:
    month = 31 * DAY_MS
    said = ["Invoice Paid", "Ticket Opened", "Note Added", "Account Lost"]
    server_store.insert("events", [stored_event(1, "used", occurred_at=T0, account="acme", name="Exported")])
    server_store.insert("events", [stored_event(2, "uses", occurred_at=T0 + month, account="globex", name="Exported")])
    server_store.insert(
        "events",
        [
            stored_event(3 + n, f"e{n}", occurred_at=T0 + n % 2 * month, account="acme", name=name)
            for n, name in enumerate([*said, *said[1:]])
        ],
    )

    retention = {(row["cohort"].month, row["months_after"]): row for row in asked(server_store, "retention_by_cohort")}
    features = {row["feature"] for row in asked(server_store, "feature_adoption")}
    days = server_store._writer.query("SELECT account, events FROM account_days ORDER BY account").result_rows

    assert [retention[12, after]["active_accounts"] for after in (0, 1)] == [1, 0]
    assert features == {"Exported"}
    assert [tuple(row) for row in days] == [("acme", 1), ("globex", 1)]


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


def test_the_example_of_bands_counts_accounts_that_rest_on_every_day(
    server_store: ClickHouseStore, project_root: Path
) -> None:
    page = (project_root / "docs" / "sql.md").read_text("utf-8")
    section = page.split("## `health_by_day`")[1].split("\n## ")[0]
    (example,) = re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    stopped = DAY + STOPS[GONE]
    resting = [each for each in history().snapshots if each["account"] == GONE and each["day"] > stopped + 42]
    left_out = [each for each in resting if (each["day"] - stopped) % 7]  # it waits for a ticket, else it would rest
    snapshots = [each for each in history().snapshots if each not in left_out]
    server_store.insert("account_health", as_rows("account-health", "account_health", snapshots))

    found = server_store._writer.query(example).result_rows

    bands = defaultdict(list)
    for (_, day), each in closes(history()).items():
        bands[day].append(each["band"])
    whole = [(day, *(of.count(band) for band in ("RED", "YELLOW", "GREEN"))) for day, of in sorted(bands.items())]
    assert found == whole
    assert len(left_out) > 30
    assert {each["band"] for each in resting} == {"RED"}
