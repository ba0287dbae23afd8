"""The OpenAPI document is true: requests made out of it are answered as it says, and never with an error of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from prometheus_client import CollectorRegistry
from schemathesis import GenerationMode

from services.ingest.__main__ import application, server_options
from services.ingest.dialects.registry import every_route
from services.ingest.domain.limits import Limits
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.http import openapi
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from tests.support.conformance import CHECKS
from tests.support.examples import examples
from tests.support.served import app_in_a_thread

EXAMPLES = examples(8)
"""For each operation: some twenty seconds in all."""
DOCUMENT = json.loads(openapi.document(every_route(), Limits()))
_BY_ENDPOINT = {route.endpoint: (route.path, route.method.lower()) for route in reversed(every_route().routes)}
_OF_THE_PROCESS = [(path, "get") for path in ("/metrics", "/healthz", "/readyz")]
OPERATIONS = [*_BY_ENDPOINT.values(), *_OF_THE_PROCESS]
"""One address of each endpoint; the others of the same endpoint are served by the same code."""
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A running service, over the log in memory."""
    chosen = IngestSettings()
    metrics = IngestMetrics(CollectorRegistry())
    keys = WriteKeys(
        {"wk": WriteKey("", "web"), "slow": WriteKey("", "slow", events_per_s=1, burst_s=2)},
    )
    app = application(MemoryEventLog(), keys, metrics, chosen)
    with app_in_a_thread(app, **server_options(chosen)) as address:
        yield address


def test_the_document_is_served_and_names_every_route(address: str) -> None:
    served = httpx.get(f"{address}/openapi.json")

    assert served.json() == DOCUMENT
    for route in every_route().routes:
        assert route.method.lower() in served.json()["paths"][route.path]


def test_only_what_asks_for_a_write_key_says_how_it_is_given() -> None:
    keyed = {path for path, methods in DOCUMENT["paths"].items() for each in methods.values() if "security" in each}

    assert {"/v1/batch", "/v1/t", "/v1/pixel/page", "/sourceConfig", "/beacon/v1/batch"} <= keyed
    assert not {"/t.js", "/v1/projects/{key}/settings", "/v1/webhooks/{vendor}/{name}", "/readyz"} & keyed


def test_the_document_has_the_limits_that_are_set() -> None:
    document = json.loads(openapi.document(every_route(), Limits(batch_events=7, id_chars=9)))

    schemas = document["components"]["schemas"]
    assert schemas["Batch"]["properties"]["batch"]["maxItems"] == 7
    assert schemas["Event"]["properties"]["userId"]["maxLength"] == 9


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=[f"{m} {p}" for p, m in OPERATIONS])
def test_every_answer_conforms_to_the_document(address: str, path: str, method: str) -> None:
    operation: Any = SCHEMA[path][method]
    described = DOCUMENT["paths"][path][method]
    strategy = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if "requestBody" in described:
        strategy |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    keys = [{"Authorization": "Basic d2s6"}, {"X-Write-Key": "slow"}, {"X-Write-Key": "nobody"}, {}]
    asked = iter(range(10_000))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def ask(case: Any) -> None:
        key = keys[0] if (n := next(asked)) % 2 else keys[n // 2 % len(keys)]
        case.call_and_validate(base_url=address, checks=CHECKS, headers=key)

    ask()
