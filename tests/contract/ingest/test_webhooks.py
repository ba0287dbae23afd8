"""Webhooks of vendors over real HTTP: who is taken for the vendor, what becomes of what it says, and what it is told."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from services.ingest.__main__ import application
from services.ingest.connections.deadlines import KEEP
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.http.receiving import KEYLESS_BYTES
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import IngestSettings
from services.ingest.webhooks.endpoints import Endpoint, Endpoints
from services.ingest.write_keys.keys import WriteKeys
from tests.contract.ingest.conftest import Ingest, Server
from tests.support.webhooks import FIXTURES, SIGN, fixture

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET, FORMER, WRONG = b"whsec_0123456789abcdef", b"whsec_fedcba9876543210", b"whsec_xxxxxxxxxxxxxxxx"
ACCOUNTS = {
    "stripe/hooks": "metadata.account_id",
    "zendesk/hooks": "organization.id",
    "zendesk/triggers": "organization.external_id",
    "delighted/hooks": "person_properties.account_id",
}
VENDORS = ("stripe", "zendesk", "delighted")
ONE_OF_EACH = {
    "stripe": "stripe-invoice-paid-basil",
    "zendesk": "zendesk-ticket-created",
    "delighted": "delighted-response-updated",
}


class Hooks(Ingest):
    """Ingest with an endpoint for each vendor."""

    async def deliver(
        self, path: str, payload: Any, secret: bytes = SECRET, late_s: float = 0, **more: Any
    ) -> httpx.Response:
        """Send what a vendor would send; bytes are sent as they are."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        headers = SIGN[path.partition("/")[0]](secret, body, time.time() - late_s)
        return await self.client.post(f"/v1/webhooks/{path}", content=body, headers=[*headers.items()], **more)

    def count(self, path: str, outcome: str) -> float:
        """Return how many webhooks had an outcome."""
        return float(self.metrics.webhook_requests.labels(path, outcome)._value.get())


@pytest_asyncio.fixture(loop_scope="module")
async def hooks(server: Server) -> AsyncIterator[Hooks]:
    log = MemoryEventLog()
    metrics = IngestMetrics(CollectorRegistry())
    endpoints = Endpoints(
        {
            f"{vendor}/{name}": Endpoint(
                vendor, name, f"from-{vendor}", "production", account, "", secrets=(SECRET, FORMER)
            )
            for (vendor, name), account in ((path.split("/"), account) for path, account in ACCOUNTS.items())
        }
    )
    server.app = application(log, WriteKeys({}), metrics, IngestSettings(), endpoints=endpoints)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield Hooks(server.port, client, log, metrics, server.app)


def path_of(name: str) -> str:
    """Return the endpoint that takes a fixture."""
    vendor, account = name.partition("-")[0], fixture(name)["account"]
    return next(path for path, at in ACCOUNTS.items() if path.startswith(vendor) and at == account)


@pytest.mark.parametrize("name", [path.stem for path in FIXTURES])
async def test_what_a_vendor_documents_is_on_the_log_once_it_is_told_so(hooks: Hooks, name: str) -> None:
    case, path = fixture(name), path_of(name)

    answer = await hooks.deliver(path, case["payload"])

    wanted = case["becomes"]
    unattributed = sum("groupId" not in event for event in wanted)
    told = answer.json()
    assert (answer.status_code, told["success"]) == (200, True)
    assert (told["accepted"], told["unattributed"], told["rejected"]) == (len(wanted), unattributed, 0)
    written = hooks.events() + hooks.events("usage-unattributed")
    assert [(event["event_id"], event["account"], event["name"]) for event in written] == [
        (event["messageId"], event.get("groupId", ""), event.get("event", "")) for event in wanted
    ]
    assert all(event["source"] == f"from-{path.split('/')[0]}" for event in written)
    if not wanted:
        assert told["ignored"] == case["payload"].get("type", case["payload"].get("event_type"))
        assert told["message"] == case["why"]
    outcome = "unattributed" if unattributed else "accepted" if wanted else "ignored"
    assert hooks.count(path, outcome) == 1


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_webhook_that_comes_twice_has_the_same_ids(hooks: Hooks, vendor: str) -> None:
    payload = fixture(ONE_OF_EACH[vendor])["payload"]

    for _ in range(2):
        assert (await hooks.deliver(f"{vendor}/hooks", payload)).status_code == 200

    first, again = hooks.events()
    assert first["event_id"] == again["event_id"]
    assert (first["source"], first["account"]) == (again["source"], again["account"])


@pytest.mark.parametrize("vendor", VENDORS)
async def test_who_is_not_the_vendor_is_refused_and_nothing_is_kept(hooks: Hooks, vendor: str) -> None:
    payload = fixture(ONE_OF_EACH[vendor])["payload"]

    answer = await hooks.deliver(f"{vendor}/hooks", payload, WRONG)

    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_signature")
    assert not any(hooks.log.records.values())
    assert hooks.count(f"{vendor}/hooks", "refused") == 1


async def test_without_a_signature_the_body_is_not_read(hooks: Hooks) -> None:
    answer = await hooks.client.post("/v1/webhooks/stripe/hooks", content=b"x" * 100_000)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        401,
        "missing_signature",
        "Stripe-Signature",
    )
    assert hooks.app.intake.reception.room.most == 0


@pytest.mark.parametrize("vendor", ["stripe", "zendesk"])
async def test_an_old_signature_is_refused(hooks: Hooks, vendor: str) -> None:
    payload = fixture(ONE_OF_EACH[vendor])["payload"]

    answer = await hooks.deliver(f"{vendor}/hooks", payload, late_s=400)

    assert (answer.status_code, answer.json()["code"]) == (401, "signature_expired")


async def test_both_secrets_are_taken_while_one_takes_the_place_of_the_other(hooks: Hooks) -> None:
    payload = fixture(ONE_OF_EACH["stripe"])["payload"]

    for secret in (SECRET, FORMER, FORMER):
        assert (await hooks.deliver("stripe/hooks", payload, secret)).status_code == 200

    counts = [hooks.metrics.webhook_secrets.labels("stripe/hooks", place)._value.get() for place in ("1", "2")]
    assert counts == [1, 2]


async def test_what_cannot_be_mapped_is_kept_and_not_asked_for_again(hooks: Hooks) -> None:
    for body in (b'{"type": "invoice.paid", "id": "evt_1"}', b"{", b"[1]"):
        answer = await hooks.deliver("stripe/hooks", body)
        told = answer.json()
        assert (answer.status_code, told["success"]) == (200, False)
        assert (told["accepted"], told["unattributed"], told["rejected"]) == (0, 0, 1)

    letters = hooks.letters()
    assert [(letter["reason"], letter["field"]) for letter in letters] == [
        ("missing_field", "created"),
        ("malformed_json", ""),
        ("wrong_type", ""),
    ]
    assert letters[0]["source"] == "from-stripe"
    assert letters[0]["original"] == b'{"type": "invoice.paid", "id": "evt_1"}'
    assert hooks.count("stripe/hooks", "rejected") == 3


async def test_what_admission_refuses_is_kept_too(hooks: Hooks) -> None:
    payload = fixture(ONE_OF_EACH["stripe"])["payload"]
    payload["data"]["object"]["parent"]["subscription_details"]["metadata"]["account_id"] = "x" * 300

    answer = await hooks.deliver("stripe/hooks", payload)

    assert (answer.status_code, answer.json()["results"][0]["code"]) == (200, "too_long")
    assert hooks.letters()[0]["reason"] == "too_long"


async def test_test_mode_does_not_score(hooks: Hooks) -> None:
    payload = fixture(ONE_OF_EACH["stripe"])["payload"]

    await hooks.deliver("stripe/hooks", {**payload, "livemode": False})

    assert hooks.events()[0]["environment"] == "test"


async def test_while_kafka_takes_nothing_it_is_asked_for_again(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks.log.refuse("away")
    monkeypatch.setattr(hooks.log, "_refusing_since", time.monotonic() - 3_600)  # others are asked to wait for a minute

    for payload in (fixture(ONE_OF_EACH["stripe"])["payload"], {"type": "invoice.paid"}):
        answer = await hooks.deliver("stripe/hooks", payload)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) < 60  # what Zendesk waits for

    assert hooks.count("stripe/hooks", "put_off") == 2


async def test_a_partition_that_takes_nothing_has_the_whole_webhook_sent_again(hooks: Hooks) -> None:
    hooks.log.stalled_keys = {b"8447346622462"}

    answer = await hooks.deliver("zendesk/hooks", fixture("zendesk-ticket-moved")["payload"])

    assert (answer.status_code, answer.json()["put_off"]) == (429, 1)
    assert [event["account"] for event in hooks.events()] == ["8447346622463"]
    assert hooks.count("zendesk/hooks", "put_off") == 1


async def test_the_connection_of_a_vendor_is_of_somebody_known_once_a_signature_was_right(hooks: Hooks) -> None:
    """Where there are too many connections one of the longest line makes way, and all who are not known stand in one."""
    known: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hooks.app({**scope, "extensions": {KEEP: known.append}}, receive, send)

    payload = fixture(ONE_OF_EACH["stripe"])["payload"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://ingest") as hooks.client:
        await hooks.deliver("stripe/hooks", payload, WRONG)
        assert known == []
        await hooks.deliver("stripe/hooks", payload)

    assert known == ["from-stripe"]


@pytest.mark.parametrize("path", ["stripe/nothing", "paypal/hooks", "stripe/a/b"])
async def test_an_endpoint_that_is_not_there_is_not_found(hooks: Hooks, path: str) -> None:
    answer = await hooks.client.post(f"/v1/webhooks/{path}", content=b"{}")

    assert answer.status_code == 404


async def test_a_body_that_is_too_large_is_refused(hooks: Hooks) -> None:
    answer = await hooks.deliver("stripe/hooks", b" " * (KEYLESS_BYTES + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert hooks.count("stripe/hooks", "refused") == 1
