"""Every core of every lane stops at a record in a schema that it does not know: it is newer, never poison."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from services.alerter.core import alerter_lanes
from services.alerter.metrics import AlerterMetrics
from services.alerter.rule_files import load_rules
from services.scorer.adapters.fleet_core import FleetCore
from services.scorer.adapters.lanes import usage_lanes
from services.scorer.testing import MODEL, PLAN
from services.shared.engine.core import Core, SourceRecord
from services.shared.errors import UnknownVersion

NEWER = b"\x00\x00\x00\x00\xff a record of a later version"


def usage() -> Core:
    return usage_lanes(1, PLAN, MODEL).core(0)


def alerts() -> Core:
    return alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry())).core(0)


@pytest.mark.parametrize("core", [usage, FleetCore, alerts])
def test_a_schema_that_is_not_known_is_a_newer_version(core: Callable[[], Core]) -> None:
    with pytest.raises(UnknownVersion, match="schema id 255"):
        core().decode(SourceRecord("any", 0, 7, b"acme", NEWER))
