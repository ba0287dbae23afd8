"""What a sender is told of the tracking plan over HTTP, what is counted, and what is never written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from services.ingest.__main__ import application
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.write_keys.keys import WriteKey, WriteKeys
from services.shared.plan_file import read_plan_file
from services.shared.tracking_plan.plan import fingerprint
from tests.contract.ingest.conftest import SETTINGS, Ingest, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAN = """
events:
  Report Exported:
    properties:
      rows: {type: whole_number, required: true}
      format: {type: text}
  Rated: {means: [answers.csat]}
answers: {csat: {score: stars, scale: [1, 5]}}
deny: {drop: [password], hash: [email]}
unknown_events: reject
"""
BROKEN = {"type": "track", "event": "report_exported", "userId": "ann", "groupId": "acme", "messageId": "m"}


@pytest_asyncio.fixture(loop_scope="module")
async def planned(server: Server, tmp_path: Path) -> AsyncIterator[Ingest]:
    (tmp_path / "plan.yaml").write_text(PLAN, "utf-8")
    log, metrics = MemoryEventLog(), IngestMetrics(CollectorRegistry())
    keys = WriteKeys({mode: WriteKey("", "web", plan=mode) for mode in ("reject", "observe", "off")})
    server.app = application(log, keys, metrics, SETTINGS.model_copy(update={"plan_file": tmp_path / "plan.yaml"}))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", auth=("observe", "")) as client:
        yield Ingest(server.port, client, log, metrics, server.app)


def counted(ingest: Ingest, event: str, code: str) -> float | None:
    return ingest.metrics.registry.get_sample_value(
        "tidemark_ingest_plan_violations_total", {"event": event, "code": code}
    )


async def test_the_plan_in_force_is_shown_by_its_fingerprint(planned: Ingest, tmp_path: Path) -> None:
    expected = fingerprint(read_plan_file(tmp_path / "plan.yaml"))
    assert planned.metrics.registry.get_sample_value("tidemark_ingest_plan_info", {"fingerprint": expected}) == 1


async def test_an_observed_event_is_taken_told_and_counted(planned: Ingest) -> None:
    unknown = {**BROKEN, "event": "Never Heard Of", "messageId": "n"}
    answer = (await planned.batch({**BROKEN, "properties": {"format": 7}}, unknown)).json()

    assert (answer["success"], answer["accepted"], answer["broke_plan"]) == (True, 2, 2)
    assert [result["verdict"] for result in answer["results"]] == ["accepted", "accepted"]
    assert answer["results"][0]["warnings"] == [
        {
            "code": "plan_missing_property",
            "field": "properties.rows",
            "detail": "rows is missing; the tracking plan requires it",
        },
        {"code": "plan_wrong_type", "field": "properties.format", "detail": "send text, not a number"},
    ]
    assert len(planned.events()) == 2
    assert counted(planned, "Report Exported", "plan_missing_property") == 1
    assert counted(planned, "Report Exported", "plan_wrong_type") == 1
    assert counted(planned, "(unknown)", "plan_unknown_event") == 1


async def test_a_key_that_rejects_refuses_and_one_that_is_off_does_not_look(planned: Ingest) -> None:
    refused = await planned.client.post("/v1/track", json=BROKEN, auth=("reject", ""))
    taken = await planned.client.post("/v1/track", json=BROKEN, auth=("off", ""))

    assert refused.status_code == 400
    assert refused.json()["results"][0]["code"] == "plan_missing_property"
    assert [(letter["reason"], letter["field"]) for letter in planned.letters()] == [
        ("plan_missing_property", "properties.rows")
    ]
    assert taken.status_code == 200
    assert "broke_plan" not in taken.json()
    assert counted(planned, "Report Exported", "plan_missing_property") is None


async def test_an_answer_beyond_its_scale_is_told_to_its_sender(planned: Ingest) -> None:
    rated = {**BROKEN, "event": "Rated", "properties": {"stars": 6}}
    warned = (await planned.batch(rated)).json()
    refused = await planned.client.post("/v1/track", json=rated, auth=("reject", ""))

    wrong = {"code": "plan_wrong_value", "field": "properties.stars", "detail": "send a whole number from 1 to 5"}
    assert warned["results"][0]["warnings"] == [wrong]
    assert {name: refused.json()["results"][0][name] for name in wrong} == wrong


async def test_the_warnings_of_an_answer_are_bounded_and_all_are_counted(planned: Ingest) -> None:
    answer = (await planned.batch(*({**BROKEN, "messageId": f"m{n}"} for n in range(150)))).json()

    assert (answer["accepted"], answer["broke_plan"], len(answer["results"])) == (150, 150, 100)
    assert counted(planned, "Report Exported", "plan_missing_property") == 150


async def test_events_have_a_bounded_number_of_labels() -> None:
    metrics = IngestMetrics(CollectorRegistry())
    for number in range(300):
        metrics.broke_plan(f"Event {number}", ["plan_wrong_type"])

    samples = [s for family in metrics.registry.collect() for s in family.samples if "plan_violations_total" in s.name]
    assert len(samples) == 201
    assert sum(sample.value for sample in samples) == 300


@pytest.mark.parametrize("wrong", [{}, {"type": "what"}, {"timestamp": "soon"}])
async def test_what_is_denied_is_not_written_though_the_event_is_refused(
    planned: Ingest, wrong: dict[str, Any]
) -> None:
    event = {**BROKEN, "properties": {"rows": 1, "password": "hunter2", "email": "ann@acme.example"}, **wrong}
    await planned.batch(event, context={"traits": {"password": "hunter2"}, "ip": "192.0.2.1"})

    written = [record.value for records in planned.log.records.values() for record in records]
    assert written
    assert not any(b"hunter2" in value or b"ann@acme" in value for value in written)
    assert bool(planned.letters()) == bool(wrong)


async def test_of_a_body_that_cannot_be_read_hash_and_length_are_kept(planned: Ingest) -> None:
    body = json.dumps({"batch": [{"properties": {"password": "hunter2"}}]}).encode()[:-2]
    assert (await planned.client.post("/v1/batch", content=body)).status_code == 400

    (letter,) = planned.letters()
    assert (letter["original"], letter["original_size"], len(letter["original_sha256"])) == (b"", len(body), 64)
