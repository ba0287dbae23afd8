"""The registry endpoints answer as a Confluent Schema Registry does, and take nothing."""

import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from schemas import codec, released
from services.warehouse.http.registry import registry_routes


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=registry_routes("")))


def test_every_schema_is_found_by_its_id(client: TestClient) -> None:
    for file in released.FILES:
        answer = client.get(f"/schemas/ids/{codec.FILE_IDS[file.path]}")

        assert json.loads(answer.json()["schema"]) == json.loads(file.text)
        assert answer.headers["content-type"].startswith("application/vnd.schemaregistry.v1+json")


def test_subjects_are_records_and_topics_with_one_record(client: TestClient) -> None:
    subjects = client.get("/subjects").json()

    assert {"io.tidemark.Signal", "risk-signals-value", "io.tidemark.UsageEvent"} <= set(subjects)
    assert "usage-events-value" not in subjects


def test_the_subject_of_a_topic_is_named_as_the_topic_is_on_the_cluster() -> None:
    """Kafka Connect looks a schema up under the topic that it reads, and fails where there is no such subject."""
    client = TestClient(Starlette(routes=registry_routes("eu-")))
    text = next(f.text for f in released.FILES if f.record == "signal")

    found = client.post("/subjects/eu-risk-signals-value", json={"schema": text}).json()

    assert (found["subject"], found["id"]) == ("eu-risk-signals-value", codec.SCHEMA_IDS["signal"])
    assert client.get("/subjects/risk-signals-value/versions").status_code == 404
    assert client.get("/subjects/io.tidemark.Signal/versions").json() == [1]


def test_a_version_is_found_by_number_and_as_the_latest(client: TestClient) -> None:
    latest = client.get("/subjects/risk-signals-value/versions/latest").json()

    assert latest == client.get("/subjects/risk-signals-value/versions/1").json()
    assert latest["id"] == codec.SCHEMA_IDS["signal"]
    assert client.get("/subjects/risk-signals-value/versions").json() == [1]
    assert json.loads(client.get("/subjects/risk-signals-value/versions/1/schema").text)["name"] == "Signal"


def test_a_schema_is_looked_up_by_its_text(client: TestClient) -> None:
    text = next(f.text for f in released.FILES if f.record == "tick")

    assert client.post("/subjects/io.tidemark.Tick", json={"schema": text}).json()["id"] == codec.SCHEMA_IDS["tick"]
    assert client.post("/subjects/io.tidemark.Tick", json={"schema": '"string"'}).status_code == 404
    assert client.post("/subjects/io.tidemark.Tick", content=b"{").status_code == 422


async def test_a_schema_without_end_is_read_no_further_than_one_can_be_long() -> None:
    parts = [{"type": "http.request", "body": b" " * 64 * 1024, "more_body": True} for _ in range(64)]
    left: list[dict[str, Any]] = [{"type": "http.request"}, *parts]
    answer: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return left.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        answer.append(message)

    path = "/subjects/io.tidemark.Tick"
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}
    await Starlette(routes=registry_routes(""))(scope, receive, send)

    assert (answer[0]["status"], json.loads(answer[1]["body"])["error_code"]) == (413, 41301)
    assert len(left) > 50


def test_a_schema_that_is_nested_without_end_is_none(client: TestClient) -> None:
    answer = client.post("/subjects/io.tidemark.Tick", json={"schema": "[" * 100_000})

    assert (answer.status_code, answer.json()["error_code"]) == (422, 42201)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/schemas/ids/999", 404, 40403),
        ("/schemas/ids/999/versions", 404, 40403),
        pytest.param(f"/schemas/ids/{'1' * 5_000}", 404, 40403, id="a number that is too long to be one"),
        ("/subjects/nobody/versions", 404, 40401),
        ("/subjects/nobody/versions/1", 404, 40401),
        ("/subjects/io.tidemark.Tick/versions/9", 404, 40402),
        ("/subjects/io.tidemark.Tick/versions/0", 422, 42202),
        ("/subjects/io.tidemark.Tick/versions/-1", 422, 42202),
    ],
)
def test_what_does_not_exist_has_the_code_of_a_registry(client: TestClient, path: str, status: int, code: int) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_nothing_can_be_registered(client: TestClient) -> None:
    assert client.post("/subjects/io.tidemark.Tick/versions", json={"schema": '"string"'}).status_code == 405


def test_the_rest_that_tools_ask_for(client: TestClient) -> None:
    assert client.get("/schemas/types").json() == ["AVRO"]
    assert client.get("/config").json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert client.get("/config/io.tidemark.Tick").json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    used = client.get(f"/schemas/ids/{codec.SCHEMA_IDS['signal']}/versions").json()
    assert {"subject": "risk-signals-value", "version": 1} in used
