"""A webhook through the process as it is run, onto Kafka; and its file, changed while it runs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from schemas import codec
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until
from tests.support.webhooks import SIGN, fixture

pytestmark = pytest.mark.integration

FIRST, SECOND = "whsec_0123456789abcdef", "whsec_fedcba9876543210"
FILE = "- {{vendor: stripe, name: billing, source: stripe, account: metadata.account_id, secrets: {}}}\n"


async def test_a_secret_is_changed_while_webhooks_come(kafka_settings: KafkaSettings, tmp_path: Path) -> None:
    keys, hooks = tmp_path / "keys.yaml", tmp_path / "webhooks.yaml"
    keys.write_text("[]")
    hooks.touch(mode=0o600)
    hooks.write_text(FILE.format([FIRST]))
    ingest = ServiceProcess(
        "ingest", kafka_settings, tmp_path, TIDEMARK_WRITE_KEYS_FILE=str(keys), TIDEMARK_WEBHOOKS_FILE=str(hooks)
    )
    body = json.dumps(fixture("stripe-subscription-updated-basil")["payload"]).encode()
    await ingest.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ingest.port}") as client:

            async def status(secret: str) -> int:
                headers = SIGN["stripe"](secret.encode(), body, time.time())
                answer = await client.post("/v1/webhooks/stripe/billing", content=body, headers=[*headers.items()])
                return answer.status_code

            async def answers(secret: str, wanted: int) -> bool:
                return await status(secret) == wanted

            await until(ingest.ready)
            assert await status(FIRST) == 200
            assert await status(SECOND) == 401

            hooks.write_text(FILE.format([SECOND, FIRST]))
            await until(lambda: answers(SECOND, 200), 10)
            assert await status(FIRST) == 200

            hooks.write_text(FILE.format([SECOND]))
            await until(lambda: answers(FIRST, 401), 10)
    finally:
        await ingest.stop()

    found = [codec.decode(record.value)[1] async for record in scan(kafka_settings, "usage-events")]
    assert {(event["event_id"], event["account"], event["source"]) for event in found} == {
        ("evt_1R8kBasil", "acme", "stripe"),
        ("evt_1R8kBasil:group", "acme", "stripe"),
    }
