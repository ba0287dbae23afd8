"""The OpenAPI document is true: questions made out of it are answered as it says, and never with an error of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import validator_for
from prometheus_client import CollectorRegistry
from schemathesis import GenerationMode
from starlette.routing import Route
from starlette.testclient import TestClient

from schemas import released
from services.alerter.domain.stages.deduplicate import Reason
from services.warehouse.http import openapi
from services.warehouse.http.app import QUESTIONS, query_app
from services.warehouse.http.erasing import erasing_routes
from services.warehouse.http.exporting import exporting_routes
from services.warehouse.http.guard import Guard
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.contract.warehouse.stored import T0, event, health, signal
from tests.support.conformance import CHECKS
from tests.support.examples import examples
from tests.support.served import app_in_a_thread

EXAMPLES = examples(10)
"""For each address and each way of making them up: about ten seconds in all."""
DOCUMENT = json.loads(openapi.document(QUESTIONS))
PATHS = [each.path.replace(":path", "") for each in QUESTIONS]
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
STORED = {"account": "acme", "user": "u_5pQ0m2c9XbT1r8sZk4Yw"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A running query API, over the store in memory, with something of everything in it."""
    store = MemoryStore()
    store.insert("account_health", [health(1, "acme", at=T0 - 1), health(2, "acme", band="GREEN"), health(3, "a/b")])
    store.insert("events", [event(n, f"e{n}") for n in range(3)])
    store.insert("signals", [signal(n, "acme", f"rule{n}", 1, "FIRING") for n in range(3)])
    metrics = WarehouseMetrics(CollectorRegistry())
    app = Guard(query_app(lambda: store, metrics), None, metrics)
    with app_in_a_thread(app) as address:
        yield address


def test_the_document_is_served_and_names_every_address(address: str) -> None:
    served = httpx.get(f"{address}/openapi.json")

    assert served.json() == DOCUMENT
    assert served.headers["ETag"]


def test_the_document_names_each_address_that_the_process_serves_and_no_other() -> None:
    """Of the application as the warehouse makes it, with what is answered beside the questions."""
    store = MemoryStore()
    more = [*erasing_routes(lambda: store), *exporting_routes(lambda: store)]  # type: ignore[arg-type,return-value]
    served = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()), more=more)
    routes = {path.replace(":path", "") for path in served.paths}
    described = json.loads(TestClient(served).get("/openapi.json").text)["paths"]

    assert described.keys() == routes
    assert {"/v1/traces/people/{user}", "/v1/traces/accounts/{account}", "/v1/export/{view}", "/v1/stream"} <= routes
    for path, operations in described.items():
        given = {each["name"] for each in operations["get"].get("parameters", []) if each["in"] == "path"}
        assert given == set(re.findall(r"{(\w+)}", path)), path


def test_a_default_is_one_of_what_may_be_given() -> None:
    described = [each["schema"] for path in DOCUMENT["paths"].values() for each in path["get"].get("parameters", [])]
    defaults = [each for each in described if "default" in each]

    assert defaults
    assert all(each["default"] in each.get("enum", [each["default"]]) for each in defaults)


def test_the_document_names_all_that_a_signal_can_be() -> None:
    """Whoever builds on signals sees which transitions there are, and why one ends, without having met each."""
    written = json.loads((released.ROOT / "signal/v1.avsc").read_text("utf-8"))["fields"]
    symbols = {each["name"]: each["type"]["symbols"] for each in written if "symbols" in each["type"]}
    described = DOCUMENT["components"]["schemas"]["SignalAnswer"]["properties"]

    assert {name: sorted(symbols[name]) for name in symbols} == {name: described[name]["enum"] for name in symbols}
    assert described["resolved_reason"]["enum"] == sorted(reason.value for reason in Reason)


def test_an_address_that_is_not_described_stops_the_process_at_its_start() -> None:
    with pytest.raises(KeyError, match="v1/secret"):
        query_app(MemoryStore, WarehouseMetrics(CollectorRegistry()), more=[Route("/v1/secret", lambda _: None)])


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_with_something_in_it_has_the_shape_that_is_written_down(address: str, path: str) -> None:
    answer = httpx.get(address + path.format(**STORED), params={"weeks": 3} if path == "/v1/accounts" else {})
    if path == "/v1/people/{user}":
        assert answer.status_code == 404  # nobody is known in this store
        return
    shape = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    validator_for({**shape, "components": DOCUMENT["components"]}).validate(answer.json())

    name = shape["$ref"].rpartition("/")[2]
    described = DOCUMENT["components"]["schemas"][name]["properties"]
    assert answer.json().keys() == described.keys()


@pytest.mark.parametrize(
    ("mode", "path"),
    [(GenerationMode.POSITIVE, path) for path in PATHS]
    + [(GenerationMode.NEGATIVE, each.path.replace(":path", "")) for each in QUESTIONS if each.parameters],
)
def test_every_answer_conforms_to_the_document(address: str, mode: GenerationMode, path: str) -> None:
    operation: Any = SCHEMA[path]["get"]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=address, checks=CHECKS)

    ask()
