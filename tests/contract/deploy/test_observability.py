"""Metrics, dashboard, alert rules, their tests, runbooks and the metrics page fit each other, both ways."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from schemas.topics import TOPICS
from services.cli.pages.metrics import Metric, metrics, page
from services.shared.engine.lane.metrics import LaneMetrics
from services.shared.engine.metrics import EngineMetrics
from services.shared.ports import PORTS, port_of

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/rules"
RULE_TESTS = ROOT / "deploy/prometheus/tests"
DASHBOARD = ROOT / "deploy/grafana/dashboards/tidemark.json"
RUNBOOKS = ROOT / "docs/runbooks"

METRICS: dict[str, Metric] = {series: metric for metric in metrics() for series in metric.series}
STANDARD = {"process_start_time_seconds", "process_resident_memory_bytes"}
"""What every process tells of itself besides ours."""
_NAME = re.compile(r"\b(?:tidemark|process_|up)[a-z0-9_:]*")
_SELECTOR = re.compile(r"(tidemark_[a-z0-9_]+)\{([^}]*)\}")


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Every PromQL expression, with where it stands."""
    for rule in rules():
        yield rule.get("alert", rule.get("record", "?")), rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]


QUERIES = [pytest.param(expr, id=f"{where}-{index}") for index, (where, expr) in enumerate(queries())]


def names_in(expr: str) -> set[str]:
    """The metrics and recorded series in an expression: what stands in quotes or names a label is none."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    return set(_NAME.findall(bare))


@pytest.mark.parametrize("expr", QUERIES)
def test_each_query_names_metrics_that_exist(expr: str) -> None:
    assert names_in(expr) - METRICS.keys() - RECORDED <= {"up", *STANDARD}


@pytest.mark.parametrize("expr", QUERIES)
def test_each_selector_names_labels_that_its_metric_has(expr: str) -> None:
    for series, selector in _SELECTOR.findall(expr):
        used = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector))
        assert used <= {*METRICS[series].labels, "job", "instance", "le"}, series


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert", rule.get("record")))
def test_no_rule_looks_at_the_last_scrape_alone(rule: dict[str, Any]) -> None:
    """An alert would end, or begin to wait anew, where one scrape fails; `up` is there even then."""
    selectors = re.findall(r"(\{__name__[^}]*\}|\b(?:tidemark_|process_)\w+(?:\{[^}]*\})?)(\[\w+\])?", rule["expr"])

    assert [selector for selector, window in selectors if not window] == []


def test_each_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    used = {name for _, expr in queries() for name in names_in(expr)}
    unseen = {metric.name for metric in metrics() if not metric.series & used}

    # looked up by hand, in the diagnosis of a runbook
    by_hand = {name for name in unseen if any(name in path.read_text("utf-8") for path in RUNBOOKS.glob("*.md"))}
    assert unseen - by_hand == set()


def test_the_metrics_page_is_what_the_modules_define() -> None:
    assert (ROOT / "docs/metrics.md").read_text("utf-8") == page(), "run: python -m services.cli.pages.metrics"


@pytest.mark.parametrize("metric", [pytest.param(metric, id=metric.name) for metric in metrics()])
def test_a_metric_is_named_and_explained_by_the_rules(metric: Metric) -> None:
    assert metric.name.startswith(f"tidemark_{metric.service}_")
    assert len(metric.text.split()) > 1
    assert not {"account", "user", "write_key", "event_id", "path", "url"} & set(metric.labels)
    assert not re.search(r"_(?:ms|millis|time|minutes|duration)$", metric.name), "times are in _seconds"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_each_alert_is_whole_and_has_a_runbook(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    assert name.startswith("Tidemark")
    assert alert["labels"]["severity"] in {"critical", "warning"}
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook"}
    assert "{{" not in notes["summary"]
    assert notes["runbook"] == f"docs/runbooks/{name}.md"
    text = (ROOT / notes["runbook"]).read_text("utf-8")
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (\w+)$", text, flags=re.MULTILINE) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_tells_no_fraction_of_what_is_whole(alert: dict[str, Any]) -> None:
    """`increase` makes 1.036 records of one, and `humanize` shows that."""
    shown = re.findall(r"{{ ([^{}]*\$value[^{}]*) }}", alert["annotations"]["description"])
    whole = set(re.findall(r"\bincrease\d*", alert["expr"])) == set()

    allowed = {"$value | humanizeDuration", "$value | humanizePercentage", "if gt $value 0.0", 'printf "%.0f" $value'}
    assert set(shown) - allowed <= ({"$value"} if whole else set())


def test_prometheus_scrapes_the_ports_that_services_take() -> None:
    text = (ROOT / "deploy/prometheus/prometheus.yaml").read_text("utf-8")
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in yaml.safe_load(text)["scrape_configs"]}

    assert jobs == {f"tidemark-{name}": [f"127.0.0.1:{port}"] for name, port in PORTS.items()}
    for second in re.findall(r"a second one: \"127.0.0.1:(\d+)\"", text):
        assert int(second) in {port_of(name, slot=1) for name in PORTS}


def test_a_service_of_which_no_process_is_known_is_noticed() -> None:
    (alert,) = (alert for alert in ALERTS if alert["alert"] == "TidemarkServiceAbsent")

    assert set(re.findall(r'absent\(up\{job="tidemark-(\w+)"\}\)', alert["expr"])) == set(PORTS)


def test_each_runbook_has_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_names_only_what_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    known = METRICS.keys() | {metric.name for metric in metrics()}
    for name in re.findall(r"\btidemark_[a-z_]+\b", text):
        assert name in known, name
    for name in re.findall(r"\bTidemark[A-Z]\w+", text):
        assert name in {alert["alert"] for alert in ALERTS}, name
    for name in re.findall(r"`(?:usage|account|risk|expansion|open|fleet)-[a-z-]+`", text):
        assert name.strip("`") in TOPICS, name


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for path in RULE_TESTS.glob("*_test.yaml"):
        for case in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for check in case["alert_rule_test"]:
                (fires if check["exp_alerts"] else silent).add(check["alertname"])

    assert fires == silent == {alert["alert"] for alert in ALERTS}


def test_what_on_call_asks_first_is_on_the_dashboard() -> None:
    shown = set().union(*(names_in(target["expr"]) for panel in panels() for target in panel["targets"]))

    assert shown >= {
        "tidemark_ingest_requests_total",
        "tidemark_ingest_events_total",
        "tidemark_ingest_ack_seconds_bucket",
        "tidemark_engine_lag_records",
        "tidemark_engine_lag_seconds",
        "tidemark_engine_transactions_total",
        "tidemark_scorer_events_total",
        "tidemark_scorer_event_to_health_seconds_bucket",
        "tidemark_alerter_signals_total",
        "tidemark_alerter_event_to_signal_seconds_bucket",
        "tidemark_warehouse_delay_seconds_bucket",
    }


def test_each_panel_says_what_it_shows_in_which_unit() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    for panel in found:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def unit_of(panel: dict[str, Any], legend: str) -> str:
    """The unit in which a panel shows a series: its own, or that of the panel."""
    config = panel["fieldConfig"]
    for override in config["overrides"]:
        options = override["matcher"]["options"]
        if options == legend or (options.startswith("/") and re.search(options.strip("/"), legend)):
            return next(str(each["value"]) for each in override["properties"] if each["id"] == "unit")
    return str(config["defaults"]["unit"])


def test_bytes_and_seconds_are_shown_as_such() -> None:
    for panel in panels():
        for target in panel["targets"]:
            (name, *_) = sorted(names_in(target["expr"]) - {"up"}) or [""]
            kind = re.search(r"_(bytes|seconds)(?:_total|_bucket)?$", name)
            if kind is None or "count by" in target["expr"]:
                continue
            wanted = {"bytes": {"bytes", "Bps"}, "seconds": {"s"}}[kind[1]]
            assert unit_of(panel, target["legendFormat"]) in wanted, (panel["title"], target["legendFormat"])


def test_what_counts_before_the_first_scrape_is_shown_as_it_is_since_its_increase_is_none() -> None:
    early = {"TidemarkSourceGap", "TidemarkWarehouseLostRecords"}
    counters = {name for alert in ALERTS if alert["alert"] in early for name in names_in(alert["expr"])}
    shown = [target["expr"] for panel in panels() for target in panel["targets"] if counters & names_in(target["expr"])]

    assert len(shown) == len(counters) == 2
    assert [expr for expr in shown if "[" in expr] == []


def test_no_panel_draws_a_line_for_each_partition_of_each_topic() -> None:
    """24 partitions of eight topics are 192 lines."""
    for panel in panels():
        for target in panel["targets"]:
            lines = re.match(r"(?:max|sum) by \(([^)]*)\)", target["expr"])
            assert lines is None or not {"topic", "partition"} <= set(lines[1].split(", ")), panel["title"]


def test_the_counters_of_lanes_that_alerts_watch_for_an_increase_start_at_zero() -> None:
    registry = CollectorRegistry()
    LaneMetrics(EngineMetrics(registry), "usage-events", 0)
    watched = {
        name
        for alert in ALERTS
        for name in re.findall(r"increase\((tidemark_engine_[a-z_]+)", alert["expr"])
        if METRICS[name].labels
    }

    assert watched
    for name in watched:
        assert registry.get_sample_value(name, {"topic": "usage-events", "partition": "0"}) == 0, name


promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt install prometheus)"
)


@promtool
def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    checks = [["check", "rules", *sorted(map(str, RULES.glob("*.yaml")))]]
    checks.append(["check", "config", str(ROOT / "deploy/prometheus/prometheus.yaml")])
    for check in checks:
        ran = subprocess.run(["promtool", *check], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@promtool
@pytest.mark.parametrize("path", sorted(RULE_TESTS.glob("*_test.yaml")), ids=lambda path: path.stem)
def test_the_alerts_fire_and_stay_silent_as_their_tests_say(path: Path) -> None:
    ran = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


@promtool
def test_promtool_parses_each_query_of_the_dashboard(tmp_path: Path) -> None:
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    listed = [{"record": f"panel:{index}", "expr": expr} for index, expr in enumerate(found)]
    path = tmp_path / "dashboard.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": listed}]}), "utf-8")
    ran = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
