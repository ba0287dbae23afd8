"""A webhook that names no account, and the group call that says later whose customer it was: through ingest and attribution."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas import codec
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until
from tests.support.webhooks import SIGN, fixture

pytestmark = [pytest.mark.integration, pytest.mark.timeout(170)]

SECRET = "whsec_0123456789abcdef"


async def test_what_waited_goes_to_the_account_that_the_vendors_own_event_names(
    kafka_settings: KafkaSettings, tmp_path: Path
) -> None:
    keys, hooks = tmp_path / "keys.yaml", tmp_path / "webhooks.yaml"
    keys.write_text("[]")
    hooks.touch(mode=0o600)
    endpoint = {"vendor": "stripe", "name": "billing", "source": "stripe", "account": "metadata.account_id"}
    hooks.write_text("- " + json.dumps({**endpoint, "secrets": [SECRET]}))
    files = {"TIDEMARK_WRITE_KEYS_FILE": str(keys), "TIDEMARK_WEBHOOKS_FILE": str(hooks)}
    ingest = ServiceProcess("ingest", kafka_settings, tmp_path, **files)
    scorer = ServiceProcess("scorer", kafka_settings, tmp_path, TIDEMARK_ENGINE_INSTANCE="scorer-under-test")
    nameless, updated = fixture("stripe-invoice-paid-basil")["payload"], fixture("stripe-customer-updated")["payload"]
    now = int(time.time())
    nameless["data"]["object"]["parent"]["subscription_details"]["metadata"] = {}

    async def deliver(client: httpx.AsyncClient, payload: dict[str, Any], at: int) -> dict[str, Any]:
        body = json.dumps({**payload, "created": at}).encode()
        headers = SIGN["stripe"](SECRET.encode(), body, time.time())
        answer = await client.post("/v1/webhooks/stripe/billing", content=body, headers=[*headers.items()])
        assert answer.status_code == 200
        return dict(answer.json())

    async def attributed() -> list[dict[str, Any]]:
        found = [codec.decode(record.value) async for record in scan(kafka_settings, "usage-events")]
        return [value for name, value in found if name == "usage_event" and value["name"] == "Invoice Paid"]

    await ingest.start()
    await scorer.start()
    try:
        await until(ingest.ready)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ingest.port}") as client:
            assert (await deliver(client, nameless, now - 60))["unattributed"] == 1
            assert (await deliver(client, updated, now - 30))["accepted"] == 1
        await until(attributed, 120)
    finally:
        await ingest.kill()
        await scorer.kill()

    (event,) = await attributed()
    assert (event["account"], event["via"], event["event_id"]) == ("acme", "USER", nameless["id"])
    assert event["source"] == "stripe"
