"""What the runbook has deleted to rebuild lanes is all of their state, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.alerter.__main__ import GROUP as ALERTER
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.scorer.lane_facts import GROUP as SCORER
from services.scorer.lanes import attribution_lanes, fleet_lane, usage_lanes
from tests.support.scorer import MODEL, PLAN


def test_the_runbook_names_the_changelogs_of_all_lanes(project_root: Path) -> None:
    text = (project_root / "docs/runbooks/TidemarkLaneStopped.md").read_text("utf-8")
    alerter = alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry()))
    scorer = [usage_lanes(1, PLAN, MODEL), attribution_lanes(), fleet_lane()]

    rows = re.findall(r"^\| `([a-z-]+)` \| `([a-z]+)` \| (.*) \|$", text, re.MULTILINE)

    assert {(topic, group, *re.findall(r"`([^`]+)`", logs)) for topic, group, logs in rows} == {
        (spec.topic, group, *spec.stores.values())
        for group, specs in ((SCORER, scorer), (ALERTER, [alerter]))
        for spec in specs
    }
