"""`tidemark plan`: a file to start from, what breaks the plan, a draft, and the page for those who send events."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from services.cli.commands import plan
from services.cli.plan.comparing import PlanComparison
from services.cli.plan.observed import Observed, calls_in
from services.cli.plan.page import page
from services.shared.errors import ConfigurationError, Fatal
from services.shared.plan_file import B2B_SAAS_PLAN_FILE, DEFAULT_PLAN_FILE, default_plan, read_plan_file
from services.shared.tracking_plan.event_check import Beside
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.tracking_plan.reading import read_plan

PLAN = """
events:
  Report Exported:
    description: A report | was exported.
    means: [counts.exports]
    properties:
      rows: {type: whole_number, required: true, description: How many.}
      format: {one_of: [pdf, csv]}
  Password Reset: {means: ignored}
  Ticket Opened: {means: [cases.tickets.opened]}
  Ticket Closed: {means: [cases.tickets.closed]}
pages:
  report: {paths: ["/reports/*"], properties: {tab: {required: true}}}
identify_traits:
  email: {type: text, personal: true}
cases: {tickets: {id: ticket_id}}
deny: {drop: [password]}
"""
GOOD = {"type": "track", "event": "report_exported", "properties": {"rows": 1}}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plan.yaml").write_text(PLAN, "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(tmp_path / "plan.yaml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    plan.register(app)
    return CliRunner().invoke(app, ["plan", *map(str, arguments)])


def sent(files: Path, *lines: Any) -> Path:
    file = files / "events.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return file


def test_init_writes_a_plan_that_can_be_used_and_never_over_another(files: Path) -> None:
    first, second = run("init", "new.yaml"), run("init", "new.yaml")

    assert first.exit_code == 0
    assert "TIDEMARK_TRACKING_PLAN=new.yaml" in first.stdout
    assert (files / "new.yaml").read_bytes() == B2B_SAAS_PLAN_FILE.read_bytes()
    assert read_plan_file(files / "new.yaml").events["Signed Out"].means == "ignored"
    assert isinstance(second.exception, Fatal)
    assert "there already" in str(second.exception)
    assert isinstance(run("init", "no/such/folder.yaml").exception, Fatal)


def test_check_says_beside_its_counts_that_they_are_of_a_sample(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/integration/cli/test_plan.py` takes such a sample of a log."""

    def look(take: Callable[[Observed], None], *_: object) -> int:
        take(Observed("TRACK", "Thing Done", "", {}, Beside()))
        return 1_200

    monkeypatch.setattr(plan, "_look", look)
    told, as_json = run("check"), run("check", "--json")

    assert told.stdout.splitlines()[1] == (
        "a sample, one event in 1,200: all counts are of the sample; --most takes more"
    )
    assert "not in the plan: Thing Done (1)" in told.stdout
    assert "in the plan and not in the sample: Report Exported" in told.stdout
    assert json.loads(as_json.stdout)["one_in"] == 1_200


def test_check_is_content_with_events_that_keep_the_plan(files: Path) -> None:
    result = run("check", "--events", sent(files, GOOD, {"batch": [GOOD, {"type": "alias", "userId": "a"}]}))

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "3 events were compared; 0 break the plan",
        "in the plan and not seen: Password Reset, Ticket Opened, Ticket Closed",
    ]


def test_check_tells_what_breaks_the_plan_how_often_and_what_it_does_not_name(files: Path) -> None:
    events = sent(
        files, GOOD, {**GOOD, "properties": {"rows": "1", "format": "xls"}}, {**GOOD, "properties": {"rows": "2"}},
        {"type": "page", "context": {"page": {"path": "/reports/7"}}}, {"type": "track", "event": "Ticket Opened"},
        {"type": "track", "event": "Unheard Of"}, {"type": "Track", "event": "unheard_of"}, "no JSON", "[1]",
        {"type": "what"}, {"type": "track"}, {"type": "track", "event": "x", "properties": 7}, {"type": "track", "event": {}},
    )  # fmt: skip
    result = run("check", "--events", events)

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "7 events were compared; 4 break the plan",
        "BAD  6 more are no calls in Segment's format: line 8, 9, 10, 11, 12, 13",
        "BAD  Report Exported: properties.rows: send a whole number, not text (plan_wrong_type; 2 of 3)",
        "BAD  Report Exported: properties.format: send one of pdf, csv, not 'xls' (plan_wrong_value; 1 of 3)",
        "BAD  Ticket Opened: properties.ticket_id: ticket_id is missing; the tracking plan requires it (plan_missing_property; 1 of 1)",
        "BAD  report: properties.tab: tab is missing; the tracking plan requires it (plan_missing_property; 1 of 1)",
        "not in the plan: Unheard Of (2)",
        "in the plan and not seen: Password Reset, Ticket Closed",
    ]


def test_roles_that_the_plan_does_not_list_are_named_since_nothing_breaks(files: Path) -> None:
    (files / "plan.yaml").write_text(
        "identify_traits: {Role: {type: text, means: role}}\nroles: [Admin, viewer]\n", "utf-8"
    )
    said = [" ADMIN", "owner", "Owner", "guest", None, ""]
    calls = files / "calls.ndjson"
    calls.write_text("\n".join(json.dumps({"type": "identify", "traits": {"role": role}}) for role in said), "utf-8")

    told, as_json = run("check", "--events", str(calls)), run("check", "--events", str(calls), "--json")

    assert told.stdout.splitlines()[1:] == [
        "roles that the plan does not list, all taken as one: owner (2), guest (1)",
        "roles in the plan and not seen: viewer",
    ]
    assert json.loads(as_json.stdout)["other_roles"] == {"owner": 2, "guest": 1}
    assert json.loads(as_json.stdout)["roles_never_came"] == ["viewer"]


def test_check_tells_what_has_the_right_type_and_cannot_be_read(files: Path) -> None:
    """As ingest does of the same calls, by their times where there are any."""
    absence = {"type": "track", "event": "Planned Absence", "groupId": "acme", "timestamp": "2027-01-15T08:00:00Z"}
    events = sent(
        files,
        {"type": "track", "event": "NPS Submitted", "userId": "ann", "properties": {"score": 11}},
        {"batch": [{"type": "track", "event": "Unheard Of", "userId": "ann"}], "context": {"actor": "robot"}},
        {**absence, "properties": {"from": "2028-02-01", "to": "2028-02-02", "scope": "account"}},
        {**absence, "properties": {"from": "2027-02-01", "to": "2027-02-02", "scope": "person"}},
        {**absence, "properties": {"from": "2027-02-01", "to": "2027-02-02", "scope": "person"}, "userId": "ann"},
    )  # fmt: skip
    (files / "default.yaml").write_bytes(DEFAULT_PLAN_FILE.read_bytes())
    found = json.loads(run("check", "--json", "--events", events, "--plan", "default.yaml").stdout)

    assert (found["events"], found["broken"]) == (5, 4)
    assert sorted((each["event"], each["field"]) for each in found["breaks"]) == [
        ("", "context.actor"),
        ("NPS Submitted", "properties.score"),
        ("Planned Absence", "properties.from"),
        ("Planned Absence", "properties.scope"),
    ]


def test_traffic_of_browsers_breaks_a_plan_that_takes_it_from_servers_alone() -> None:
    compared = PlanComparison(read_plan({"events": {"Contract Signed": {"client": "server"}}}))
    for from_browser in (False, True):
        compared.add(Observed("TRACK", "contract signed", "", {}, Beside(from_browser=from_browser)))

    assert [(way.event, way.code, way.field, count) for way, count in compared.breaks.items()] == [
        ("Contract Signed", "plan_server_only", "event", 1)
    ]
    assert compared.broken == 1


def test_check_of_a_file_with_a_line_that_is_no_call_is_no_success(files: Path) -> None:
    result = run("check", "--events", sent(files, GOOD, *["{"] * 12))

    assert result.exit_code == 1
    assert "12 more are no calls in Segment's format: line 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ..." in result.stdout


def test_check_names_a_line_with_several_things_that_are_no_calls_once(files: Path) -> None:
    result = run("check", "--events", sent(files, GOOD, {"batch": [1, GOOD, 2]}))

    assert "BAD  2 more are no calls in Segment's format: line 2" in result.stdout.splitlines()


def test_check_of_a_file_without_any_call_is_no_success(files: Path) -> None:
    """Of a wrong file a pipeline would else say that all is well."""
    result = run("check", "--events", sent(files, {"no": "call"}))

    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "there was no event to compare"


def test_check_prints_json(files: Path) -> None:
    result = run("check", "--json", "--events", sent(files, {**GOOD, "properties": {}}, GOOD))

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["events"], found["broken"], found["unknown"]) == (2, 1, {})
    assert found["breaks"] == [
        {
            "event": "Report Exported", "code": "plan_missing_property", "field": "properties.rows", "events": 1, "of": 2,
            "detail": "rows is missing; the tracking plan requires it",
        }
    ]  # fmt: skip


def test_an_unknown_event_breaks_a_plan_that_rejects_them() -> None:
    found = PlanComparison(read_plan({"unknown_events": "reject"}))
    for number in range(50):
        found.add(Observed("TRACK", f"Event {number}", "", {}))

    assert found.broken == 50
    assert "BAD  (not in the plan): event: the tracking plan does not name this event" in found.lines()[1]
    assert found.lines()[2].endswith("and 30 more")


def test_a_file_that_cannot_be_read_is_an_error(files: Path) -> None:
    (files / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"type":"track"}\n' * 1_000)[:-20])
    (files / "good.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOOD).encode()))

    assert isinstance(run("check", "--events", "cut.jsonl.gz").exception, Fatal)
    assert [type(call) for call in calls_in(files / "good.jsonl.gz")] == [Observed]


def test_a_plan_that_is_wrong_is_an_error_with_all_its_problems(files: Path) -> None:
    (files / "plan.yaml").write_text("event: {}\nroles: [a]\n", "utf-8")
    found = run("docs").exception

    assert isinstance(found, ConfigurationError)
    assert len(found.problems) == 2


def test_infer_prints_a_plan(files: Path) -> None:
    result = run("infer", "--events", sent(files, GOOD, GOOD, "broken"))
    (files / "draft.yaml").write_text(result.stdout, "utf-8")

    assert result.exit_code == 0
    assert "from 2 events" in result.stdout
    assert "1 more was no call" in result.stdout
    assert read_plan_file(files / "draft.yaml").events["report_exported"].properties["rows"].type == "whole_number"
    assert isinstance(run("infer", "--events", sent(files, "broken")).exception, Fatal)


def test_docs_tell_what_to_send_and_what_it_does(files: Path) -> None:
    result = run("docs", "--plan", files / "plan.yaml")

    assert result.exit_code == 0
    for line in (
        "### Report Exported",
        "A report \\| was exported.",
        "Use of the product; counted by day as `exports`.",
        "| `rows` | whole_number | required; How many. |",
        "| `format` | one of `pdf`, `csv` |  |",
        "Kept, and scores nothing.",
        "Opens one of `tickets`.",
        "At `/reports/*`.",
        "| `email` | text | personal |",
        "- `tickets` open and close; `ticket_id` says which one",
        "- `password`: left out",
    ):
        assert line in result.stdout.splitlines()
    assert "# Tracking plan" in page(read_plan({}))


def test_schema_prints_what_editors_read() -> None:
    assert json.loads(run("schema").stdout)["title"] == "Tidemark tracking plan"


@pytest.mark.parametrize("given", [default_plan(), read_plan_file(B2B_SAAS_PLAN_FILE)], ids=["default", "of plan init"])
def test_the_plans_of_the_package_make_a_page(given: TrackingPlan) -> None:
    made = page(given)

    assert all(f"### {name}\n" in made for name in given.events)
    assert "Says when the account, or a person, will be away" in made


def test_what_is_to_be_set_can_be_pasted_whatever_the_file_is_called(tmp_path: Path) -> None:
    file = tmp_path / "our plan.yaml"

    assert f"set TIDEMARK_TRACKING_PLAN='{file}' for ingest" in run("init", file).stdout
