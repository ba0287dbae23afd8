"""The table of permissions in docs/operating.md grants each principal the topics that its code reads and writes."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import schemas.topics
from schemas.topics import TOPICS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import SIGNAL_TOPICS, alerter_lanes
from services.alerter.rule_files import load_rules
from services.ingest.live import log_tail
from services.ingest.ports import WRITES
from services.scorer.lanes import attribution_lanes, fleet_lane, usage_lanes
from services.scorer.settings import ScorerSettings, load_scoring
from services.warehouse.domain.rows import TABLE_OF_TOPIC

ROOT = Path(__file__).parents[3]
_ROW = re.compile(r"^\| (?P<who>[^|]+) \| (?P<what>[^|]+) \| (?P<operations>[^|]+) \|$", re.MULTILINE)
_COMMANDS = {
    "services/backfill/log.py": ("backfill",),
    "services/backfill/progress.py": ("backfill",),
    "services/cli/account_aliases.py": ("accounts apply",),
    "services/cli/commands/clock.py": ("clock accept", "clock refuse"),
    "services/cli/erasing/orders.py": ("erase",),
    "services/cli/quarantine.py": ("accounts release",),
    "services/cli/rejected/origins.py": ("rejected replay",),
    "services/cli/rejected/replaying.py": ("rejected replay",),
    "services/cli/resolving.py": ("accounts resolve",),
}
"""Modules of the tool that have a producer, and the commands for which they write."""
_ONLY_READ = {
    ("services/backfill/log.py", "usage-unattributed"),
    ("services/cli/quarantine.py", "scorer-usage-events-state"),
    ("services/cli/resolving.py", "dead-letters"),
}
"""Topics that a module with a producer names and does not write to."""


def granted(principal: str, operation: str, command: str | None = None) -> set[str]:
    """The topics on which the table grants an operation to a principal, or to the tool for one of its commands."""
    section = (ROOT / "docs/operating.md").read_text("utf-8").partition("\n## Permissions\n")[2].partition("\n## ")[0]
    found: set[str] = set()
    for row in _ROW.finditer(section):
        who, _, purpose = row["who"].partition(", ")
        topics = re.search(r"\btopics? ((?:`[^`]+`(?:, )?)+)", row["what"])
        here = command is None or f"`{command}`" in purpose
        if who == principal and here and topics and operation in row["operations"]:
            patterns = re.findall(r"`([^`]+)`", topics[1])
            assert all(any(fnmatchcase(name, each) for name in TOPICS) for each in patterns), patterns
            found |= {name for name in TOPICS if any(fnmatchcase(name, each) for each in patterns)}
    return found


def modules(*folders: str) -> dict[str, ast.Module]:
    """The modules in these folders of `services`, parsed."""
    paths = [path for folder in folders for path in (ROOT / "services" / folder).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in sorted(paths)}


def imported(module: ast.Module, origin: str | None = None) -> set[str]:
    """The names that a module imports, from one other module or from any."""
    return {
        alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and origin in (None, node.module)
        for alias in node.names
    }


def topics_in(module: ast.Module) -> set[str]:
    """The topics whose constants a module imports."""
    values = (getattr(schemas.topics, name) for name in imported(module, "schemas.topics"))
    return {value for value in values if isinstance(value, str)}


@pytest.mark.parametrize("service", ["ingest", "scorer", "alerter", "warehouse"])
def test_a_service_may_read_or_write_each_topic_that_its_code_names(service: str) -> None:
    named = set().union(*map(topics_in, modules(service).values()))

    assert named
    assert named - granted(service, "Read") - granted(service, "Write") == set()


def test_ingest_may_write_what_it_takes_in_and_read_what_it_shows() -> None:
    assert granted("ingest", "Write") == set(WRITES)
    assert granted("ingest", "Read") == set(log_tail._TOPICS)


def test_scorer_and_alerter_may_write_what_is_theirs() -> None:
    for service in ("scorer", "alerter"):
        assert granted(service, "Write") >= {name for name, topic in TOPICS.items() if topic.owner == service}
    assert granted("alerter", "Write") >= set(SIGNAL_TOPICS.values())


def test_lanes_declare_each_topic_that_they_may_write() -> None:
    plan, model = load_scoring(ScorerSettings())
    ticked = {USAGE_EVENTS, USAGE_UNATTRIBUTED}
    lanes = {
        "scorer": [usage_lanes(1, plan, model), attribution_lanes(), fleet_lane()],
        "alerter": [alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry()))],
    }

    for service, specs in lanes.items():
        declared = {topic for spec in specs for topic in (*spec.outputs, *spec.stores.values())}
        assert declared | (ticked if service == "scorer" else set()) == granted(service, "Write")


def test_the_warehouse_may_read_each_topic_that_has_a_table() -> None:
    assert granted("warehouse", "Read") >= set(TABLE_OF_TOPIC)


def test_the_commands_that_write_to_kafka_are_those_of_the_table() -> None:
    found = {
        path
        for path, module in modules("cli", "backfill").items()
        if imported(module) & {"producer", "AIOKafkaProducer"}
    }

    assert found == _COMMANDS.keys()


@pytest.mark.parametrize("path", _COMMANDS)
def test_a_command_may_write_to_each_topic_that_it_appends_to(path: str) -> None:
    (module,) = (parsed for name, parsed in modules("cli", "backfill").items() if name == path)
    written = {name for name in topics_in(module) if (path, name) not in _ONLY_READ}

    for command in _COMMANDS[path]:
        assert written - granted("the tool", "Write", command) == set(), command
