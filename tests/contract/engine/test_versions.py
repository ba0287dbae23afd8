"""Every processor of every lane stops at a record in a schema that it does not know: it is newer, never poison."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.scorer.fleet_processor import FleetProcessor
from services.scorer.lanes import usage_lanes
from services.shared.engine.processor import Processor, SourceRecord
from services.shared.errors import UnknownVersion
from tests.support.scorer import MODEL, PLAN

NEWER = b"\x00\x00\x00\x00\xff a record of a later version"


def usage() -> Processor:
    return usage_lanes(1, PLAN, MODEL).processor(0)


def alerts() -> Processor:
    return alerter_lanes(load_rules(), AlerterMetrics(CollectorRegistry())).processor(0)


@pytest.mark.parametrize("processor", [usage, FleetProcessor, alerts])
def test_a_schema_that_is_not_known_is_a_newer_version(processor: Callable[[], Processor]) -> None:
    with pytest.raises(UnknownVersion, match="schema id 255"):
        processor().decode(SourceRecord("any", 0, 7, b"acme", NEWER))
